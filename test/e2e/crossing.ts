// Two tenants with the same ids, the same tool names and the same timing: calls interleaved, cancelled, answered late.
// Not responsible for how many (the suite makes a few, `npm run crossing` all) or for judging: it counts what crossed.
// Invariant: every answer that comes is looked at; a call that was cancelled may have none, and never another one's.
import { init, initialize, modern } from '../helpers/mcp-wire.ts';
import type { ServedEstate } from '../helpers/runtime.ts';

export const TENANTS = ['acme', 'globex'] as const;
export type TenantName = (typeof TENANTS)[number];

/** Answers who it is and what it was told, at once or late. */
export const CROSSING_TOOL = `
  who: defineTool({
    description: 'who',
    inputSchema: Type.Object({ mark: Type.String(), ms: Type.Integer() }),
    async handler({ mark, ms }, ctx) {
      ctx.progress({ progress: 1, message: ctx.tenant + ' ' + mark });
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      return ctx.tenant + ' ' + ctx.subject + ' ' + mark;
    },
  }),
`;

export interface Crossings {
  answered: number;
  cancelled: number;
  /** Calls that ended with an error that is no answer of a tool: none is expected. */
  failed: string[];
  crossed: string[];
}

const AT_ONCE = 16;

/** `count` calls, half of each tenant, in both eras. */
export async function cross(served: ServedEstate, count: number): Promise<Crossings> {
  const found: Crossings = { answered: 0, cancelled: 0, failed: [], crossed: [] };
  const sessions = new Map<TenantName, string>();
  for (const tenant of TENANTS) sessions.set(tenant, (await initialize(served.endpoint(tenant), served.token(tenant))).session);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const tenant = TENANTS[i % 2] as TenantName;
      // Both tenants send the same id with the same arguments; only the mark of the subject's own tenant tells them apart.
      await one(served, tenant, sessions.get(tenant) ?? '', i >> 1, found);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found;
}

async function one(served: ServedEstate, tenant: TenantName, session: string, id: number, found: Crossings): Promise<void> {
  const mark = `${tenant}-${id}`;
  const expected = `${tenant} ada ${mark}`;
  const late = id % 7 === 3;
  const cancelled = id % 11 === 5;
  const params = { name: 'who', arguments: { mark, ms: late || cancelled ? 20 : 0 }, _meta: { progressToken: id } };
  const sent =
    id % 3 === 0
      ? { body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }), headers: { 'mcp-session-id': session } }
      : modern('tools/call', params as never, id);
  const controller = new AbortController();
  try {
    const response = await fetch(served.endpoint(tenant), { ...init(served.token(tenant), sent), signal: controller.signal });
    // The head came with the first progress: the call is under way.
    if (cancelled) controller.abort();
    const text = await response.text();
    const data = text.split('\n').flatMap((line) => (line.startsWith('data: {') ? [line.slice(6)] : []));
    const messages = (data.length > 0 ? data : [text]).map((line) => JSON.parse(line));
    const answer = messages.at(-1);
    const told = messages.slice(0, -1).map(({ params: progress }) => `${progress.progressToken} ${progress.message}`);
    const said = answer.result?.content?.[0]?.text;
    if (answer.result?.isError === true || answer.error !== undefined) found.failed.push(JSON.stringify(answer).slice(0, 300));
    else if (answer.id !== id || said !== expected || told.some((one) => one !== `${id} ${tenant} ${mark}`)) {
      found.crossed.push(`${expected}: ${text.slice(0, 500)}`);
    } else found.answered += 1;
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    found.cancelled += 1;
  }
}
