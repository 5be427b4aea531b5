// The JSON-RPC side of the demo API: one method, `exchange { amount, from, to }`.
// Not responsible for HTTP. Invariant: every request gets one answer with its id; there are no batches.
import { PER_EURO, rateOf } from './api-data.ts';

export function answerRpc(body: unknown): unknown {
  const { jsonrpc, id = null, method, params } = (body ?? {}) as { [member: string]: unknown };
  const failed = (code: number, message: string) => ({ jsonrpc: '2.0', id, error: { code, message } });
  if (jsonrpc !== '2.0' || typeof method !== 'string') return failed(-32600, 'Invalid Request');
  if (method !== 'exchange') return failed(-32601, 'Method not found');
  const { amount, from, to } = (params ?? {}) as { [member: string]: unknown };
  const known = [from, to].every((symbol) => typeof symbol === 'string' && Object.hasOwn(PER_EURO, symbol));
  if (typeof amount !== 'number' || !known)
    return failed(-32602, 'amount must be a number; from and to must be known currencies');
  const rate = rateOf(from as string, to as string);
  return { jsonrpc: '2.0', id, result: { amount: Math.round(amount * rate * 100) / 100, rate } };
}
