// How a client is told that somebody must connect an account: as an elicitation of a URL where it knows those, else in words.
// Not responsible for links or for whether the call may be repeated (the backend). Pure.
// Invariant: a URL is elicited only from a client that declared it; every word of it is in the failure.
import { connectLinks, isAfterEffect, linkText } from '../shared/connect-links.ts';
import type { Failure } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';
import type { ClientFacts } from './ports.ts';

/** JSON-RPC code of 2025-11-25, "URL Elicitation Required Error". */
export const URL_ELICITATION_REQUIRED = -32_042;
const SINCE = '2025-11-25';

/** The entries of such an error's `data.elicitations`; empty where the client cannot be told this way, or must not repeat the call. */
export function urlElicitations(of: Failure, { capabilities, protocolVersion }: ClientFacts): JsonObject[] {
  const { elicitation } = capabilities;
  const knows = typeof elicitation === 'object' && elicitation !== null && 'url' in elicitation && protocolVersion >= SINCE;
  if (!knows || isAfterEffect(of)) return [];
  return connectLinks(of).map((link) => ({ mode: 'url', elicitationId: link.id, url: link.url, message: linkText(link) }));
}

/** What an agent without such elicitations reads. */
export function connectAdvice(of: Failure): string | undefined {
  const links = connectLinks(of);
  if (links.length === 0) return undefined;
  const steps = links.map(({ url, code, service }) => `open ${url} (${service}; code ${code})`).join(', and ');
  return isAfterEffect(of)
    ? `Ask the user to ${steps}. The tool may have changed something before, so look before calling again.`
    : `Ask the user to ${steps}, then call again.`;
}
