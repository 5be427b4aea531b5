// A problem in an estate that an author or operator can fix, as every screen shows it.
// Not responsible for failures of calls (`errors`). Invariant: never holds a secret or a value that may be one.

export interface Problem {
  /** Relative to the estate, with forward slashes. */
  readonly file: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  readonly reason: string;
  readonly hint?: string;
}

/** What loading gave: a value, problems, or both where the problems do not keep the value from being used. */
export interface Loaded<T> {
  readonly value: T | undefined;
  readonly problems: readonly Problem[];
}

/** One line: `tools/x.ts:3:7 reason (hint)`. */
export function problemLine(problem: Problem): string {
  const at = problem.line === undefined ? '' : `:${problem.line}${problem.column === undefined ? '' : `:${problem.column}`}`;
  return `${problem.file}${at} ${problem.reason}${problem.hint === undefined ? '' : ` (${problem.hint})`}`;
}
