// The list methods of 2026-07-28: the caller's page of tools, prompts, resources or templates with its caching hints.
// Not responsible for the pages (`listing`). Invariant: `private`, because what is listed depends on the caller's scopes.
import type { InboundCall, ModernMethod, Rejection } from './classify.ts';
import { reject } from './classify.ts';
import { textAt } from './body.ts';
import type { Envelope } from './envelope.ts';
import { type ListName, listPage } from './listing.ts';
import type { ToolsetView } from './ports.ts';

/** Short: an author who changes a tool wants it seen. */
const TTL_MS = 10_000;
const HINTS = `,"ttlMs":${TTL_MS},"cacheScope":"private"`;

/** By method. */
export const LIST_OF = {
  'tools/list': 'anyTools',
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
} as const satisfies { [method in ModernMethod]?: ListName };

/** The cursor of a list request; undefined without one, a rejection where it is not a string. */
export function cursorOf({ body, params, id }: Envelope): string | undefined | Rejection {
  const range = params?.get('cursor');
  if (range === undefined) return undefined;
  return textAt(body, range) ?? reject('cursor_invalid', 'It is not a string', id);
}

/** The members of the result, without braces. */
export function listResult(
  { envelope, id }: InboundCall,
  list: ListName,
  view: ToolsetView | undefined,
  owner: () => string,
  key: Uint8Array,
): string | Rejection {
  const cursor = cursorOf(envelope);
  if (typeof cursor === 'object') return cursor;
  const page = listPage(view, list, cursor, owner, key);
  return page === undefined ? reject('cursor_invalid', 'List again from the start', id) : page + HINTS;
}
