// Reads the parameters of `initialize` (2025 era) and what the client tells of itself.
// Not responsible for the answer, which is the SDK's. Invariant: what passes here is what the SDK's schema takes.
import { clientName, reject, type Rejection } from '../classify.ts';
import { objectAt, textAt } from '../body.ts';
import type { Envelope } from '../envelope.ts';
import type { ClientFacts } from '../ports.ts';
import { LEGACY_VERSIONS } from '../versions.ts';

export interface InitializeParams {
  readonly client: ClientFacts;
  /** For the SDK. */
  readonly message: Record<string, unknown>;
}

/** A revision that this server does not know is answered with its newest of that era (2025-11-25, lifecycle). */
function negotiated(requested: string): string {
  return LEGACY_VERSIONS.includes(requested) ? requested : (LEGACY_VERSIONS[0] as string);
}

export function initializeParams({ body, id, params }: Envelope): InitializeParams | Rejection {
  const requested = textAt(body, params?.get('protocolVersion'));
  if (requested === undefined) return reject('params_invalid', 'params.protocolVersion is not a string', id);
  const capabilities = objectAt(body, params?.get('capabilities'));
  if (capabilities === undefined) return reject('params_invalid', 'params.capabilities is not an object', id);
  const named = clientName(objectAt(body, params?.get('clientInfo')));
  if (named.name === undefined || named.version === undefined) {
    return reject('params_invalid', 'params.clientInfo has no name or version', id);
  }
  const protocolVersion = negotiated(requested);
  // The client's capabilities stay here: the SDK's schema would refuse what it does not know, and the backend checks what may be asked.
  const message = { protocolVersion, capabilities: {}, clientInfo: { name: named.name, version: named.version } };
  return { client: { ...named, capabilities, protocolVersion }, message };
}
