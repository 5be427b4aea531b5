// The identifiers that name things on both sides of a line: tenant ids and correlation ids.
// Not responsible for secrets: a correlation id is public and sortable, never proof of anything.
// Invariant: a tenant id is matched, never normalized; what does not match does not exist.
import { randomFillSync } from 'node:crypto';

/** A DNS label in lower case: 1 to 63 characters. */
export const TENANT_ID_PATTERN = '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$';
const tenantId = new RegExp(TENANT_ID_PATTERN);
export function isTenantId(value: string): boolean {
  return tenantId.test(value);
}

/** Owner of what belongs to the server and to no tenant; no tenant id has an underscore. */
export const SERVER_OWNER = '_server';

/** What every MCP client of the field accepts as a tool name. */
export const TOOL_NAME_PATTERN = '^[a-zA-Z0-9_-]{1,64}$';

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const pool = Buffer.alloc(10 * 256);
let used = pool.length;

/** A ULID (48 bits of milliseconds, 80 random bits; 26 characters of Crockford base32). Sorts by time of creation. */
export function newCorrelationId(now: number = Date.now()): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let text = '';
  let time = now;
  for (let i = 0; i < 10; i += 1) {
    text = CROCKFORD[time % 32] + text;
    time = Math.floor(time / 32);
  }
  // 10 bytes are 16 groups of 5 bits: two runs of 40 bits, each exact in a double.
  for (let half = 0; half < 2; half += 1) {
    let bits = pool.readUIntBE(used + half * 5, 5);
    let part = '';
    for (let i = 0; i < 8; i += 1) {
      part = CROCKFORD[bits % 32] + part;
      bits = Math.floor(bits / 32);
    }
    text += part;
  }
  used += 10;
  return text;
}
