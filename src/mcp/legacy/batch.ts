// JSON-RPC batches, which revision 2025-03-26 has and no other one: many messages in one POST, their answers in one array.
// Not responsible for the messages themselves (`leg` takes each as if it had come alone) or for which session may send one.
// Invariant: bounded in messages and in bytes of answers; the exchange ends once, when the last message has its answer.
import { CLOSE_BRACKET, COMMA, OPEN_BRACKET, skipSpace, skipValue } from '../../shared/json-scan.ts';
import { failure } from '../../shared/errors.ts';
import type { Answer, Message } from '../answer.ts';
import { errorMessage } from '../protocol-error.ts';

export const BATCH_MESSAGES = 100;
const ANSWER_BYTES = 16_777_216;
const SEPARATOR = Buffer.from(',');

export function isBatch(bytes: Uint8Array): boolean {
  return bytes[skipSpace(bytes, 0, bytes.length)] === OPEN_BRACKET;
}

/** The messages of a batch, as they stand; half a sentence where it is none. */
export function splitBatch(bytes: Buffer): readonly Buffer[] | string {
  const end = bytes.length;
  const parts: Buffer[] = [];
  let at = skipSpace(bytes, skipSpace(bytes, 0, end) + 1, end);
  if (bytes[at] === CLOSE_BRACKET) return 'The batch is empty';
  for (;;) {
    const behind = skipValue(bytes, at, end, 1);
    if (behind < 0) return 'The batch is not valid JSON';
    if (parts.length === BATCH_MESSAGES) return `A batch has at most ${BATCH_MESSAGES} messages`;
    parts.push(bytes.subarray(at, behind));
    at = skipSpace(bytes, behind, end);
    if (bytes[at] === CLOSE_BRACKET) return skipSpace(bytes, at + 1, end) === end ? parts : 'The batch is not valid JSON';
    if (bytes[at] !== COMMA) return 'The batch is not valid JSON';
    at = skipSpace(bytes, at + 1, end);
  }
}

export class Batch {
  readonly #answer: Answer;
  readonly #correlation: string;
  readonly #parts: Uint8Array[] = [];
  #waiting: number;
  #bytes = 0;

  constructor(answer: Answer, messages: number, correlation: string) {
    this.#answer = answer;
    this.#waiting = messages;
    this.#correlation = correlation;
  }

  /** The answer of one of its messages. `id`: of the request, JSON text. */
  member(id: string | undefined): Answer {
    return new MemberAnswer(this.#answer, (message) => this.#settle(id, message));
  }

  async #settle(id: string | undefined, message: Message | undefined): Promise<void> {
    if (message !== undefined) this.#parts.push((await this.#whole(message)) ?? this.#tooLarge(id));
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    if (this.#parts.length === 0) {
      this.#answer.empty(202);
      return;
    }
    const body = Buffer.concat(this.#parts.flatMap((part, i) => (i === 0 ? [part] : [SEPARATOR, part])));
    this.#answer.send(200, { head: '[', body, tail: ']' });
  }

  /** Undefined where it is too large or broke off. */
  async #whole({ head, body, tail }: Message): Promise<Uint8Array | undefined> {
    const chunks: Uint8Array[] = [Buffer.from(head)];
    try {
      for await (const chunk of body === undefined ? [] : body instanceof Uint8Array ? [body] : body) {
        this.#bytes += chunk.length;
        if (this.#bytes > ANSWER_BYTES) return undefined;
        chunks.push(chunk);
      }
    } catch {
      return undefined;
    } finally {
      if (body !== undefined && !(body instanceof Uint8Array)) body.cancel();
    }
    chunks.push(Buffer.from(tail));
    return Buffer.concat(chunks);
  }

  #tooLarge(id: string | undefined): Uint8Array {
    return Buffer.from(errorMessage(id, failure('result_too_large'), this.#correlation));
  }
}

/** Statuses and headers of single answers have no place in a batch. */
class MemberAnswer implements Answer {
  readonly #whole: Answer;
  readonly #settle: (message: Message | undefined) => Promise<void>;
  #done = false;

  constructor(whole: Answer, settle: (message: Message | undefined) => Promise<void>) {
    this.#whole = whole;
    this.#settle = settle;
  }

  get streams(): boolean {
    return this.#whole.streams;
  }
  get gone(): boolean {
    return this.#whole.gone;
  }
  get signal(): AbortSignal {
    return this.#whole.signal;
  }
  send(_status: number, message: Message): void {
    this.#end(message);
  }
  notify(message: string): void {
    if (!this.#done) this.#whole.notify(message);
  }
  empty(): void {
    this.#end(undefined);
  }
  abandon(): void {
    this.#end(undefined);
  }
  /** A batch cannot be taken up again: its events have no ids. */
  prime(): void {}
  open(): void {}

  #end(message: Message | undefined): void {
    if (this.#done) return;
    this.#done = true;
    void this.#settle(message);
  }
}
