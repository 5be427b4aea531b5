// SIGTERM and SIGINT of a serving process: the first one asks it to drain, the next one ends it.
// Not responsible for draining.
// Invariant: whoever waits always gets an end: a drain that takes longer than its bound is cut off.

/** npm passes Ctrl-C on to its script although the terminal has sent it to both: two signals, one wish. */
const SAME_WISH_MS = 1000;
const EXIT_AT_ONCE = 130;

export interface StopSignals {
  /** Resolves at the first signal. */
  readonly first: Promise<NodeJS.Signals>;
  /** Ends the process after `ms`, also when something still holds it. Call when the drain begins. */
  limit(ms: number): void;
}

export function stopSignals(): StopSignals {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      resolve(signal);
    } else if (performance.now() - firstAt > SAME_WISH_MS) {
      process.exit(EXIT_AT_ONCE);
    }
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    first: promise,
    limit: (ms) => void setTimeout(() => process.exit(EXIT_AT_ONCE), ms).unref(),
  };
}
