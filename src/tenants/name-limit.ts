// The name and value of the limit that a failed call has met, where whoever refused it did not know them. Pure.
// Not responsible for enforcing. Invariant: every failure of class `limit` that reaches a caller or a record names its limit.
import type { CallOutcome } from '../boundary/outcome.ts';
import { FAILURES, type FailureCode } from '../shared/errors.ts';
import type { LimitName } from '../shared/limits.ts';
import type { Call } from './call-tree.ts';

const MET: Partial<Record<FailureCode, LimitName>> = {
  deadline_exceeded: 'callDeadlineMs',
  arguments_too_large: 'argumentsBytes',
  result_too_large: 'resultBytes',
  depth_limit: 'nestingDepth',
  fanout_limit: 'operationsPerCall',
  store_quota: 'storeBytes',
};

export function nameLimit(outcome: CallOutcome, { spec, root }: Call): CallOutcome {
  if (outcome.status !== 'error' || outcome.failure.limit !== undefined) return outcome;
  const { code, message } = outcome.failure;
  const name = MET[code];
  if (name === undefined) return outcome;
  const { limits } = root.tenant.config;
  const { timeoutMs } = spec;
  const own = name === 'callDeadlineMs' && timeoutMs !== undefined && timeoutMs < limits.callDeadlineMs;
  const limit = own ? 'timeoutMs' : name;
  const value = own ? timeoutMs : limits[name];
  const said = message ?? `${FAILURES[code].text} The limit ${limit} is ${value}.`;
  return { status: 'error', failure: { ...outcome.failure, limit, message: said } };
}
