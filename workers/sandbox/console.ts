// `console` of a tool: every line is a log line of the call that wrote it.
// Not responsible for limits on lines and lengths: `ctx.log` has them. Lines outside a call (while a bundle loads) are dropped.
// Invariant: nothing is written to a stream of the process.
import { formatWithOptions } from 'node:util';
import type { Log } from '../../src/author/context.ts';

type Level = keyof Log;
const LINE = { colors: false, depth: 4, maxArrayLength: 100, maxStringLength: 4096, breakLength: Infinity } as const;

export function toolConsole(logOfCall: () => Log | undefined): object {
  const writer =
    (level: Level) =>
    (...parts: unknown[]): void => {
      const log = logOfCall();
      if (log !== undefined) log[level](render(parts));
    };
  const [debug, info, warn, error] = [writer('debug'), writer('info'), writer('warn'), writer('error')];
  const counts = new Map<string, number>();
  const started = new Map<string, number>();
  const spent = (label: string) => `${label}: ${(performance.now() - (started.get(label) ?? performance.now())).toFixed(3)}ms`;
  return {
    log: info,
    info,
    debug,
    trace: debug,
    dir: (value: unknown) => info(value),
    dirxml: info,
    table: info,
    warn,
    error,
    assert: (ok: unknown, ...parts: unknown[]) => (ok ? undefined : error('Assertion failed:', ...parts)),
    count: (label = 'default') => {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      info(`${label}: ${counts.get(label)}`);
    },
    countReset: (label = 'default') => void counts.delete(label),
    time: (label = 'default') => void started.set(label, performance.now()),
    timeLog: (label = 'default') => info(spent(label)),
    timeEnd: (label = 'default') => {
      info(spent(label));
      started.delete(label);
    },
    group: info,
    groupCollapsed: info,
    groupEnd: () => undefined,
  };
}

function render(parts: readonly unknown[]): string {
  try {
    return formatWithOptions(LINE, ...parts);
  } catch {
    return '(a value that cannot be printed)';
  }
}
