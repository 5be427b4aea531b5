// Definitions of resources: something to read under a URI, or under every URI of a template.
// Not responsible for names (the key in `defineToolset`), for which of two templates wins, or for running.
// Invariant: a resource is listed from its definition alone; to list never runs an author's code.
import { parseUriTemplate } from '../shared/uri-template.ts';
import type { Completions } from './completion.ts';
import type { Binary, ContentAnnotations, Icon } from './content.ts';
import type { Needs, ToolContext } from './context.ts';
import { requireCompletions, requireKnown, requireText } from './definition-rules.ts';

type Awaitable<T> = T | Promise<T>;

/** A part of what was read; `uri` and `mimeType` default to what was asked for and what is defined. */
export type ResourcePart = { uri?: string; mimeType?: string } & ({ text: string } | { blob: Binary });
/** A text, bytes, parts of either; `undefined`: there is no such resource. */
export type ResourceReturned = string | Uint8Array | ResourcePart | ResourcePart[] | undefined;

export interface Resource {
  readonly '~resource': true;
}

export interface ResourceFacts<C extends Needs> {
  title?: string;
  description: string;
  /** Default: `text/plain` for text, `application/octet-stream` for bytes. */
  mimeType?: string;
  annotations?: ContentAnnotations;
  icons?: Icon[];
  /** Scopes that a caller must hold; without them the resource is neither listed nor read. */
  scopes?: readonly string[];
  /** Milliseconds. May only lower the tenant's limit. */
  timeoutMs?: number;
  /** Slots of `connections` in tenant.json that the handler uses, with the scopes it needs of the service. */
  connections?: C;
}

export interface FixedResource<C extends Needs> extends ResourceFacts<C> {
  /** Absolute, such as `docs://readme`. */
  uri: string;
  /** Bytes, where it is known. */
  size?: number;
  handler(request: { uri: string }, ctx: ToolContext<C>): Awaitable<ResourceReturned>;
}

type Split<S extends string> = S extends `${infer A},${infer B}` ? A | Split<B> : S;
type PathVariables<P extends string> = P extends `${string}{${infer N}}${infer R}`
  ? (N extends `?${string}` ? never : N extends `+${infer M}` ? M : N) | PathVariables<R>
  : never;
type QueryVariables<P extends string> = P extends `${string}{?${infer N}}${string}` ? Split<N> : never;
/** The variables of a URI template, decoded. */
export type UriParams<P extends string> = { readonly [K in PathVariables<P>]: string } & {
  readonly [K in QueryVariables<P>]?: string;
};

export interface TemplateResource<P extends string, C extends Needs> extends ResourceFacts<C> {
  /** RFC 6570: `{name}` is one segment or a part of one, `{+name}` anything (once, last in the path), `{?a,b}` the query (at the end). */
  uriTemplate: P;
  /** Suggestions while a variable is being typed. */
  complete?: Completions<PathVariables<P> | QueryVariables<P>, C>;
  handler(request: { uri: string; params: UriParams<P> }, ctx: ToolContext<C>): Awaitable<ResourceReturned>;
}

const FACTS = ['title', 'description', 'mimeType', 'annotations', 'icons', 'scopes', 'timeoutMs', 'connections', 'handler'];
const FIXED_KEYS = new Set([...FACTS, 'uri', 'size']);
const TEMPLATE_KEYS = new Set([...FACTS, 'uriTemplate', 'complete']);

/** A resource with one URI. @throws TypeError where the definition reads wrong. */
export function defineResource<const C extends Needs = {}>(definition: FixedResource<C>): Resource;
/** Resources under a URI template. @throws TypeError where the definition reads wrong. */
export function defineResource<const P extends string, const C extends Needs = {}>(definition: TemplateResource<P, C>): Resource;
export function defineResource(definition: FixedResource<Needs> | TemplateResource<string, Needs>): Resource {
  const isTemplate = typeof definition === 'object' && definition !== null && 'uriTemplate' in definition;
  requireKnown('defineResource', definition, isTemplate ? TEMPLATE_KEYS : FIXED_KEYS);
  requireText('defineResource', definition, 'description');
  requireText('defineResource', definition, isTemplate ? 'uriTemplate' : 'uri');
  if (typeof definition.handler !== 'function') throw new TypeError('defineResource: `handler` must be a function.');
  if ('uriTemplate' in definition) {
    const template = parseUriTemplate(definition.uriTemplate);
    if (typeof template === 'string')
      throw new TypeError(`defineResource: the template "${definition.uriTemplate}" ${template}.`);
    requireCompletions('defineResource', definition.complete, template.variables);
  }
  return Object.freeze({ ...definition, '~resource': true } as const);
}
