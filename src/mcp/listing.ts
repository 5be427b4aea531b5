// The pages of `tools/list` as JSON text, made once per view of a toolset and used by both eras.
// Not responsible for who may see what (the backend gives each caller its view) or for the revision's own members.
// Invariant: deterministic order (the view's, by name); a page depends on nothing but the view and the cursor's owner.
import { openCursor, sealCursor } from './cursor.ts';
import type { ToolsetView } from './ports.ts';

/** Tools of one page. Some clients of the 2025 era read the first page only. */
const PAGE = 500;

const first = new WeakMap<ToolsetView, string>();

function pageText(view: ToolsetView, from: number): string {
  const tools = from === 0 && view.tools.length <= PAGE ? view.tools : view.tools.slice(from, from + PAGE);
  return `"tools":[${tools.map((tool) => tool.listing).join(',')}]`;
}

/** The members `tools` and `nextCursor`, without braces; undefined where the cursor is not good here. */
export function listPage(
  view: ToolsetView | undefined,
  cursor: string | undefined,
  owner: () => string,
  key: Uint8Array,
): string | undefined {
  if (view === undefined) return cursor === undefined ? '"tools":[]' : undefined;
  let from = 0;
  if (cursor !== undefined) {
    const offset = openCursor(key, owner(), view.hash, cursor);
    if (offset === undefined || offset >= view.tools.length) return undefined;
    from = offset;
  }
  let page = from === 0 ? first.get(view) : undefined;
  if (page === undefined) {
    page = pageText(view, from);
    if (from === 0) first.set(view, page);
  }
  const next = from + PAGE;
  return next < view.tools.length ? `${page},"nextCursor":"${sealCursor(key, owner(), view.hash, next)}"` : page;
}
