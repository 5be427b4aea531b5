// Follows a call whose user must connect an account first: shows the link, waits, and makes the call again with what it was given.
// Not responsible for the call itself. Invariant: waits only while the server asks for nothing but pages to open, and for a bounded
// time; what the server sent cannot send control sequences to the terminal.
import { setTimeout as wait } from 'node:timers/promises';
import type { JsonObject } from '../shared/json.ts';
import { type Io, UserError } from './command.ts';
import { printable } from './log-line.ts';
import { isObject, type McpAnswer } from './mcp-client.ts';

/** A link lives for ten minutes, and a page that was begun with it for ten more. */
const LONGEST_MS = 1_200_000;
/** The server holds a call for a while before it asks again; where it does not, this keeps from asking all the time. */
const PAUSE_MS = 1000;

interface Page {
  readonly key: string;
  readonly url: string;
  readonly message: string;
}

/** @param call makes the call again with the members of a later round */
export async function throughPages(
  io: Io,
  first: McpAnswer,
  call: (round: JsonObject) => Promise<McpAnswer>,
  signal: AbortSignal,
): Promise<McpAnswer> {
  const shown = new Set<string>();
  const until = performance.now() + LONGEST_MS;
  let answer = first;
  for (let pages = pagesOf(answer); pages.length > 0; pages = pagesOf(answer)) {
    if (performance.now() > until) throw new UserError('nobody connected the account in time; call again for a new link');
    const fresh = pages.filter(({ url }) => !shown.has(url));
    for (const { url, message } of fresh) {
      shown.add(url);
      io.stderr.write(`✗ credential  not_connected  ${printable(message)}\n  open ${printable(url)}\n`);
    }
    if (fresh.length > 0) io.stderr.write('  waiting …\n');
    try {
      await wait(PAUSE_MS, undefined, { signal });
    } catch {
      throw new UserError('cancelled');
    }
    const state = 'result' in answer ? answer.result['requestState'] : undefined;
    answer = await call({
      inputResponses: Object.fromEntries(pages.map(({ key }) => [key, { action: 'accept' }])),
      ...(state === undefined ? {} : { requestState: state }),
    });
  }
  if (shown.size > 0 && 'result' in answer && answer.result['isError'] !== true) io.stderr.write('  connected\n');
  return answer;
}

/** Empty where the server asks for something else, or for nothing. */
function pagesOf(answer: McpAnswer): Page[] {
  if (!('result' in answer) || answer.result['resultType'] !== 'input_required') return [];
  const { inputRequests } = answer.result;
  const pages = Object.entries(isObject(inputRequests) ? inputRequests : {}).map(([key, request]): Page | undefined => {
    const params = isObject(request) && isObject(request['params']) ? request['params'] : {};
    const { mode, url, message } = params;
    return mode === 'url' && typeof url === 'string' && typeof message === 'string' ? { key, url, message } : undefined;
  });
  return pages.every((page) => page !== undefined) ? pages : [];
}
