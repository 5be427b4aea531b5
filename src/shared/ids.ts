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
/** What ten bits look like: a ULID is made for every request. */
const TEN_BITS = Array.from({ length: 1024 }, (_, bits) => CROCKFORD.charAt(bits >> 5) + CROCKFORD.charAt(bits & 31));
/** Random numbers of which ten bits count each: eight make the 80 bits of one id. */
const OF_ONE_ID = 8;
const pool = new Uint16Array(OF_ONE_ID * 256);
let used = pool.length;
let stamped = Number.NaN;
let stamp = '';

function tenBits(value: number): string {
  return TEN_BITS[value & 1023] as string;
}

/** 48 bits of milliseconds, 10 characters. */
function stampOf(now: number): string {
  if (now === stamped) return stamp;
  const high = Math.floor(now / 2 ** 30);
  const low = now % 2 ** 30;
  stamp = tenBits(high >> 10) + tenBits(high) + tenBits(low >> 20) + tenBits(low >> 10) + tenBits(low);
  stamped = now;
  return stamp;
}

/** A ULID (48 bits of milliseconds, 80 random bits; 26 characters of Crockford base32). Sorts by time of creation. */
export function newCorrelationId(now: number = Date.now()): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let text = stampOf(now);
  for (const end = used + OF_ONE_ID; used < end; used += 1) text += tenBits(pool[used] as number);
  return text;
}
