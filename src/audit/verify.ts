// Checks the chain of one tenant's file, line by line, and says where it breaks.
// Not responsible for what only the journal has yet, nor for who changed a file.
// Invariant: memory is bounded by one line. What a chain alone cannot show is a tail that was cut and the bytes of the last
// record: note the head that this returns elsewhere, and hand it in as `expect` the next time.
import { createReadStream } from 'node:fs';
import { FIRST_PREV, hashLine } from './chain.ts';
import { LINE_BYTES } from './encode.ts';

export interface ChainHead {
  readonly seq: number;
  /** SHA-256 (hex) of the line with that `seq`. */
  readonly hash: string;
}

export interface VerifyOptions {
  /** Head of the file that was rotated away before this one. Without it the file must begin with record 1. */
  readonly after?: ChainHead | undefined;
  /** A head that was noted before: the file must still hold it. */
  readonly expect?: ChainHead | undefined;
}

export interface Verification {
  readonly file: string;
  readonly ok: boolean;
  readonly records: number;
  readonly firstSeq: number | undefined;
  readonly head: ChainHead | undefined;
  /** Records that were refused in times without audit, by the file's own gap records. */
  readonly lost: number;
  /** `torn`: the file ends within a line, as while it is being written. */
  readonly problem?: { readonly line: number; readonly reason: string; readonly torn: boolean };
}

interface Line {
  readonly v: unknown;
  readonly seq: unknown;
  readonly prev: unknown;
  readonly time: unknown;
  readonly supervisor: unknown;
  readonly event: { readonly kind?: unknown; readonly tenant?: unknown; readonly lost?: unknown } | null | undefined;
}

class ChainReader {
  records = 0;
  lost = 0;
  firstSeq: number | undefined;
  head: ChainHead | undefined;
  #tenant: unknown;
  #last: ChainHead;
  #expected: ChainHead | undefined;
  #met = false;

  constructor({ after, expect }: VerifyOptions) {
    this.#last = after ?? { seq: 0, hash: FIRST_PREV };
    this.#expected = expect;
  }

  /** The reason why `text` does not go on with the chain. */
  take(text: string): string | undefined {
    const line = parse(text);
    if (line === undefined) return 'this is no record';
    const { seq, prev } = line;
    if (line.v !== 1 || typeof seq !== 'number' || typeof prev !== 'string') return 'this is no record of version 1';
    if (
      typeof line.time !== 'string' ||
      typeof line.supervisor !== 'string' ||
      typeof line.event !== 'object' ||
      line.event === null
    )
      return 'a field is missing';
    if (seq !== this.#last.seq + 1) return `seq is ${seq} after ${this.#last.seq}`;
    if (prev !== this.#last.hash) return 'the record before this one was changed';
    if (this.firstSeq === undefined) {
      this.firstSeq = seq;
      this.#tenant = line.event.tenant;
    }
    if (line.event.tenant !== this.#tenant) return 'this is a record of another tenant';
    if (line.event.kind === 'audit.gap' && typeof line.event.lost === 'number') this.lost += line.event.lost;
    this.records += 1;
    this.head = this.#last = { seq, hash: hashLine(text) };
    if (this.#expected?.seq === seq) {
      this.#met = true;
      if (this.#expected.hash !== this.head.hash) return 'this is not the record that was noted as head';
    }
    return undefined;
  }

  end(): string | undefined {
    if (this.#expected === undefined || this.#met) return undefined;
    return `the file ends before record ${this.#expected.seq}, which was noted as head`;
  }
}

function parse(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}

/** Rejects only where the file cannot be read. */
export async function verifyAudit(file: string, options: VerifyOptions = {}): Promise<Verification> {
  const chain = new ChainReader(options);
  let number = 0;
  let rest = '';
  let reason: string | undefined;
  for await (const chunk of createReadStream(file, { encoding: 'latin1', highWaterMark: 256 * 1024 })) {
    const lines = (rest + (chunk as string)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      number += 1;
      reason = chain.take(line);
      if (reason !== undefined) break;
    }
    if (reason === undefined && rest.length > LINE_BYTES) reason = 'the line is too long';
    if (reason !== undefined) break;
  }
  const torn = reason === undefined && rest !== '';
  if (reason === undefined) {
    reason = !torn ? chain.end() : 'the line has no end (torn write; a running or restarted server mends it)';
    if (torn) number += 1;
  }
  const { records, firstSeq, head, lost } = chain;
  const seen = { file, records, firstSeq, head, lost };
  return reason === undefined ? { ...seen, ok: true } : { ...seen, ok: false, problem: { line: number, reason, torn } };
}
