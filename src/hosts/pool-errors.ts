// The two errors that callers of a pool can meet; everything else is an outcome.
// Not responsible for what a caller makes of them. Invariant: each carries its `Failure`; match on `failure.code`.
import { type Failure, publicText } from '../shared/errors.ts';

/** `describe` of a bundle that does not load, or whose host was lost. */
export class PoolBroken extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(publicText(failure));
    this.name = 'PoolBroken';
    this.failure = failure;
  }
}

/** Thrown out of a `BodyStream` that broke off: what was read of it is not whole. */
export class BodyLost extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(publicText(failure));
    this.name = 'BodyLost';
    this.failure = failure;
  }
}
