// The body of a large result on its way to a client: what it holds until it is read.
// Not responsible for reading or sending it. Invariant: `done` is called at whatever end, once or more often; a call that is stopped cuts it.
import type { BodyStream } from '../hosts/pool.ts';
import type { Root } from './call-tree.ts';

/** The slot stays taken while a large result is on its way to a slow client; the deadline of the call bounds that way too. */
export function heldUntilRead(body: BodyStream, root: Root, done: () => void): BodyStream {
  const cut = (): void => body.cancel();
  const end = (): void => {
    root.offStop(cut);
    done();
  };
  root.onStop(cut);
  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* body;
      } finally {
        end();
      }
    },
    cancel() {
      body.cancel();
      end();
    },
  };
}
