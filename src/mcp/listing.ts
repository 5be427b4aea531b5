// The pages of all lists as JSON text, made once per view of a toolset and used by both eras.
// Not responsible for who may see what (the backend gives each caller its view) or for the revision's own members.
// Invariant: deterministic order (the view's, by name); a page depends on nothing but the view and the cursor's owner.
import { openCursor, sealCursor } from './cursor.ts';
import type { ToolsetView } from './ports.ts';

/** Entries of one page. Some clients of the 2025 era read the first page only. */
const PAGE = 500;

type Entries = readonly { readonly listing: string }[];

/** What is listed. `anyTools`: tools, for clients that take every output schema (from 2026-07-28 on). */
const LISTS = {
  tools: (view: ToolsetView): Entries => view.tools,
  anyTools: (view: ToolsetView): Entries => view.tools.map(({ listing, anyListing }) => ({ listing: anyListing ?? listing })),
  prompts: (view: ToolsetView): Entries => view.prompts,
  resources: (view: ToolsetView): Entries => view.resources.filter(({ uri }) => uri !== undefined),
  resourceTemplates: (view: ToolsetView): Entries => view.resources.filter(({ uri }) => uri === undefined),
} as const;
/** Where the result's member has not the list's name. */
const MEMBERS: { readonly [list in ListName]?: string } = { anyTools: 'tools' };
export type ListName = keyof typeof LISTS;

/** First pages and lengths. */
const first = new WeakMap<ToolsetView, { [list in ListName]?: { readonly page: string; readonly length: number } }>();

function pageText(list: ListName, entries: Entries, from: number): string {
  const shown = entries.slice(from, from + PAGE);
  return `"${MEMBERS[list] ?? list}":[${shown.map((entry) => entry.listing).join(',')}]`;
}

/** The list's own member and `nextCursor`, without braces; undefined where the cursor is not good here. */
export function listPage(
  view: ToolsetView | undefined,
  list: ListName,
  cursor: string | undefined,
  owner: () => string,
  key: Uint8Array,
): string | undefined {
  if (view === undefined) return cursor === undefined ? `"${MEMBERS[list] ?? list}":[]` : undefined;
  const state = `${MEMBERS[list] ?? list}:${view.hash}`;
  const begun = firstPage(view, list);
  let from = 0;
  let { page } = begun;
  if (cursor !== undefined) {
    const offset = openCursor(key, owner(), state, cursor);
    if (offset === undefined || offset >= begun.length) return undefined;
    from = offset;
    page = pageText(list, LISTS[list](view), from);
  }
  const next = from + PAGE;
  return next < begun.length ? `${page},"nextCursor":"${sealCursor(key, owner(), state, next)}"` : page;
}

function firstPage(view: ToolsetView, list: ListName): { readonly page: string; readonly length: number } {
  let pages = first.get(view);
  if (pages === undefined) {
    pages = {};
    first.set(view, pages);
  }
  const made = pages[list];
  if (made !== undefined) return made;
  const entries = LISTS[list](view);
  const begun = { page: pageText(list, entries, 0), length: entries.length };
  pages[list] = begun;
  return begun;
}
