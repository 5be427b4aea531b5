// Links to the connect page: one open one per asker, connection and scopes.
// Not responsible for the page or for what happens behind the link (`connect-flow`).
// Invariant: on record before it exists; good for ten minutes; who asks again gets the same one, so that a client that repeats
// its call does not take the ground from under a browser.
import { randomBytes } from 'node:crypto';
import type { AuditLog } from '../../audit/record.ts';
import type { OAuth2Connection } from '../../config/compiled.ts';
import { newCorrelationId } from '../../shared/ids.ts';
import type { ConnectFlow, FlowStore, GrantKey } from '../../vault/stores.ts';
import { grantBinding } from '../oauth/grant-facts.ts';
import { whenFree } from '../oauth/renewal.ts';
import { newShortCode } from './short-code.ts';

export const FLOW_MS = 600_000;
/** With less left than this, an unused link is not handed out any more. */
const SPARE_MS = 120_000;
const GUESSES = 5;
const LINK_BYTES = 24;

/** What an asker is given. */
export interface ConnectOffer {
  /** Public id of the flow. */
  readonly id: string;
  readonly url: string;
  /** To be shown by the asker's client, and typed on the page. */
  readonly code: string;
  readonly scopes: readonly string[];
}

/** Who must connect what. */
export interface ConnectAsk {
  readonly key: GrantKey;
  readonly connection: OAuth2Connection;
  /** All that are to be asked for. */
  readonly scopes: readonly string[];
  readonly asker: ConnectFlow['asker'];
}

export interface LinkPorts {
  readonly flows: FlowStore;
  readonly audit: AuditLog;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** @param base of this server's public URLs. Rejects where the audit or the store cannot be written: there is no link then. */
export async function connectOffer({ flows, audit, now }: LinkPorts, base: string, ask: ConnectAsk): Promise<ConnectOffer> {
  const { key, asker, connection } = ask;
  const scopes = [...new Set(ask.scopes)].toSorted();
  const open = flows.same({ key, asker, scopes }, now());
  const binding = grantBinding(connection.oauth);
  const isGood = open !== undefined && open.flow.binding === binding && open.flow.answered !== true;
  if (isGood && (open.flow.sent !== undefined || open.expiresAt - now() > SPARE_MS)) return offerOf(base, open.flow);
  const id = newCorrelationId(now());
  const link = randomBytes(LINK_BYTES).toString('base64url');
  const flow: ConnectFlow = { id, link, key, binding, scopes, asker, code: newShortCode(), guesses: GUESSES };
  await audit.append({ ...connectSubject(flow), kind: 'connect.link', scopes });
  await whenFree(() => flows.put(flow, now() + FLOW_MS, now()));
  return offerOf(base, flow);
}

/** What all records of a flow have in common. */
export function connectSubject({ id, key, asker }: ConnectFlow) {
  return { ...asker, tenant: key.tenant, connection: key.slot, flow: id, id: newCorrelationId() };
}

function offerOf(base: string, { id, link, code, scopes }: ConnectFlow): ConnectOffer {
  return { id, url: `${base}/connect/${link}`, code, scopes };
}
