// The links in a `not_connected`: what somebody must connect before the call can go on, as data that crosses every line.
// Not responsible for making links (`connections/connect`) or for how a client is told (`mcp`). Pure.
// Invariant: a failure carries links in `data.connect` or not at all; tool code never sees a code that ties a browser to its client.
import type { Failure } from './errors.ts';
import type { Json } from './json.ts';

export interface ConnectLinkFacts {
  /** Public id of the link. */
  readonly id: string;
  readonly tenant: string;
  /** Name of the connection in tenant.json. */
  readonly connection: string;
  /** The service, for people. */
  readonly service: string;
  /** Of the service; empty: its defaults. */
  readonly scopes: readonly string[];
  readonly url: string;
  /** What the page asks for, to know that it was this client that asked. */
  readonly code: string;
}

export function withLinks(of: Failure, links: readonly ConnectLinkFacts[]): Failure {
  const [first] = links;
  if (first === undefined) return of;
  const connect = links.map(({ scopes, ...facts }): Json => ({ ...facts, scopes: [...scopes] }));
  return { ...of, url: first.url, data: { connect } };
}

/** Made by `withLinks` in this process: a host's failures of this code are not believed. */
export function connectLinks({ code, data }: Failure): readonly ConnectLinkFacts[] {
  if (code !== 'not_connected' || typeof data !== 'object' || data === null || Array.isArray(data)) return [];
  const { connect } = data;
  return Array.isArray(connect) ? (connect as unknown as ConnectLinkFacts[]) : [];
}

/** As tool code may have it: the page to name, and nothing that opens it. */
export function withoutLinks(of: Failure): Failure {
  if (connectLinks(of).length === 0) return of;
  const { data: _, ...rest } = of;
  return rest;
}

/** What a person reads in a client, the address aside: clients show it themselves. */
export function linkText({ tenant, service, scopes, code }: ConnectLinkFacts): string {
  const what = scopes.length === 0 ? '' : ` (${scopes.join(', ')})`;
  return `${tenant} needs your ${service} account${what}. Open the page, and type the code ${code} there if it asks for one.`;
}

/** Marks a failure of a run that may have changed something. */
export function afterEffect(of: Failure): Failure {
  const { data } = of;
  return typeof data === 'object' && data !== null && !Array.isArray(data) ? { ...of, data: { ...data, afterEffect: true } } : of;
}
export function isAfterEffect({ data }: Failure): boolean {
  return typeof data === 'object' && data !== null && !Array.isArray(data) && data['afterEffect'] === true;
}
