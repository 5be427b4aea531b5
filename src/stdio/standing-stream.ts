// The stream on which a session tells what belongs to no request (GET), for as long as the session lives.
// Not responsible for ending or renewing sessions.
// Invariant: never given up while the session lives; between two tries there is a pause, and no event is asked for twice.
import { setTimeout as wait } from 'node:timers/promises';
import type { Message } from './message.ts';
import { received } from './received.ts';
import { Trouble } from './trouble.ts';
import type { Upstream } from './upstream.ts';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 10_000;
/** A refused token is counted by the server: it is not shown again all the time. */
const REFUSED_PAUSE_MS = 60_000;

export interface StandingStream {
  readonly upstream: Upstream;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  deliver(message: Message): Promise<void>;
  /** The server knows no such session. Where this rejects, it is asked again later. */
  onUnknown(): Promise<void>;
}

/** Resolves when the session is over, or has no such stream. */
export async function listen(stream: StandingStream): Promise<void> {
  const { signal } = stream;
  const at: Position = { lastId: undefined };
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const heard = await once(stream, at);
      if (heard === 'over') return;
      pause = heard === 'told' ? FIRST_PAUSE_MS : Math.min(pause * 2, LONGEST_PAUSE_MS);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      pause = error.kind === 'token' ? REFUSED_PAUSE_MS : Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
    await wait(pause, undefined, { signal }).catch(() => {});
  }
}

interface Position {
  lastId: string | undefined;
}

async function once(stream: StandingStream, at: Position): Promise<'over' | 'told' | 'refused'> {
  const { headers, signal, upstream } = stream;
  const resumed = at.lastId === undefined ? {} : { 'last-event-id': at.lastId };
  const response = await upstream.send({
    method: 'GET',
    headers: { ...headers, accept: 'text/event-stream', ...resumed },
    signal,
  });
  if (response.statusCode !== 200) {
    await response.body.dump();
    at.lastId = undefined;
    if (response.statusCode === 405) return 'over';
    if (response.statusCode !== 404) return 'refused';
    await stream.onUnknown();
    return 'over';
  }
  for await (const { message, id } of received(response)) {
    at.lastId = id ?? at.lastId;
    if (message !== undefined) await stream.deliver(message);
  }
  return 'told';
}
