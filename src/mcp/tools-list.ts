// `tools/list` (2026-07-28): the caller's page of tools with its caching hints.
// Not responsible for the pages (`listing`). Invariant: `private`, because what is listed depends on the caller's scopes.
import type { InboundCall, Rejection } from './classify.ts';
import { reject } from './classify.ts';
import { type Envelope, textAt } from './envelope.ts';
import { listPage } from './listing.ts';
import type { ToolsetView } from './ports.ts';

/** Short: an author who changes a tool wants it seen. */
const TTL_MS = 10_000;
const HINTS = `,"ttlMs":${TTL_MS},"cacheScope":"private"`;

/** The cursor of a list request; undefined without one, a rejection where it is not a string. */
export function cursorOf({ bytes, params, id }: Envelope): string | undefined | Rejection {
  const range = params?.get('cursor');
  if (range === undefined) return undefined;
  return textAt(bytes, range) ?? reject('cursor_invalid', 'It is not a string', id);
}

/** The members of a ListToolsResult, without braces. */
export function toolsList(
  { envelope, id }: InboundCall,
  view: ToolsetView | undefined,
  owner: () => string,
  key: Uint8Array,
): string | Rejection {
  const cursor = cursorOf(envelope);
  if (typeof cursor === 'object') return cursor;
  const page = listPage(view, cursor, owner, key);
  return page === undefined ? reject('cursor_invalid', 'List again from the start', id) : page + HINTS;
}
