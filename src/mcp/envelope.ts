// Splits a JSON-RPC message into its envelope and the exact byte range of `params.arguments`, which is validated but never parsed.
// Not responsible for what a method or a revision requires (`classify`).
// Invariant: one pass; no member of the message, of `params`, of `_meta` or of the arguments' top level stands twice, so no two
// readers of these bytes can disagree; ids keep their exact text.
import { ARGUMENT_NAMES, NAME_LENGTH } from '../shared/argument-shape.ts';
import {
  CLOSE_BRACE,
  COMMA,
  INVALID,
  MAX_DEPTH,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  skipColon,
  skipSpace,
  skipString,
  skipValue,
  TOO_DEEP,
} from '../shared/json-scan.ts';
import { type Body, bodyOf, rawAt, type Range, textAt, textBetween } from './body.ts';

/** Bytes of a message without its arguments, at most: what the supervisor itself parses. */
export const ENVELOPE_BYTES = 65_536;
/** What a client answers to questions of the server, at most, and the state that it carries back with its answers. */
export const ANSWER_BYTES = 262_144;
const ID_BYTES = 1024;
const METHOD_BYTES = 256;
/** Members of `params` or `_meta`. */
const MEMBERS = 64;

const DUPLICATE = -3;
const TOO_MANY = -4;

export type Members = ReadonlyMap<string, Range>;

export interface ArgumentShape {
  readonly name: string;
  readonly bytes: number;
}

export interface Envelope {
  readonly body: Body;
  /** JSON text of the id: a string or a number. Undefined: a notification. */
  readonly id: string | undefined;
  /** Undefined: a response. */
  readonly method: string | undefined;
  /** Undefined where the message has none. */
  readonly params: Members | undefined;
  readonly meta: Members | undefined;
  /** The arguments object of a call. */
  readonly args: Range | undefined;
  readonly argsMembers: Members | undefined;
  /** The first 128 arguments. */
  readonly shape: readonly ArgumentShape[];
}

export interface EnvelopeFault {
  readonly fault: 'parse_error' | 'request_invalid' | 'params_invalid';
  /** Half a sentence, for the caller. */
  readonly reason: string | undefined;
  /** Known where the fault lies behind it. */
  readonly id: string | undefined;
}

const NO_JSON: EnvelopeFault = { fault: 'parse_error', reason: undefined, id: undefined };

export function readEnvelope(bytes: Buffer): Envelope | EnvelopeFault {
  const body = bodyOf(bytes);
  if (body === undefined) return NO_JSON;
  const scan = new Scan(body);
  const start = skipSpace(bytes, 0, bytes.length);
  if (bytes[start] === OPEN_BRACKET) {
    const behind = skipValue(bytes, start, bytes.length, 0);
    if (behind < 0) return scan.fault(behind);
    return { fault: 'request_invalid', reason: 'Batches are not supported', id: undefined };
  }
  if (bytes[start] !== OPEN_BRACE) {
    const behind = skipValue(bytes, start, bytes.length, 0);
    if (behind < 0 || skipSpace(bytes, behind, bytes.length) !== bytes.length) return scan.fault(INVALID);
    return { fault: 'request_invalid', reason: 'The message is not an object', id: undefined };
  }
  const behind = scan.object(start, 0, scan.root, rootMember, MEMBERS);
  if (behind < 0) return scan.fault(behind);
  if (skipSpace(bytes, behind, bytes.length) !== bytes.length) return scan.fault(INVALID);
  return scan.finish();
}

type Visit = (scan: Scan, name: string, at: number) => number;

class Scan {
  readonly body: Body;
  readonly root = new Map<string, Range>();
  params: Map<string, Range> | undefined;
  meta: Map<string, Range> | undefined;
  args: Range | undefined;
  argsMembers: Map<string, Range> | undefined;

  constructor(body: Body) {
    this.body = body;
  }

  /** Reads the object at `from` into `members`; `visit` skips each value. Returns the position behind the object, or a fault. */
  object(from: number, depth: number, members: Map<string, Range>, visit: Visit, most: number): number {
    const { body } = this;
    const { bytes } = body;
    const end = bytes.length;
    if (depth >= MAX_DEPTH) return TOO_DEEP;
    let at = skipSpace(bytes, from + 1, end);
    if (at < end && bytes[at] === CLOSE_BRACE) return at + 1;
    for (;;) {
      if (at >= end || bytes[at] !== QUOTE) return INVALID;
      const key = at + 1;
      at = skipString(bytes, key, end);
      if (at < 0) return at;
      const name = textBetween(body, key, at - 1);
      const start = skipColon(bytes, at, end);
      if (start < 0) return start;
      at = visit(this, name, start);
      if (at < 0) return at;
      if (members.has(name)) return DUPLICATE;
      if (members.size >= most) return TOO_MANY;
      members.set(name, { start, end: at });
      at = skipSpace(bytes, at, end);
      if (at >= end) return INVALID;
      if (bytes[at] === CLOSE_BRACE) return at + 1;
      if (bytes[at] !== COMMA) return INVALID;
      at = skipSpace(bytes, at + 1, end);
    }
  }

  finish(): Envelope | EnvelopeFault {
    const { body, root } = this;
    const { bytes } = body;
    const idRange = root.get('id');
    const id = idRange === undefined ? undefined : idText(body, idRange);
    const invalid = (reason: string): EnvelopeFault => ({ fault: 'request_invalid', reason, id });
    if (idRange !== undefined && id === undefined) return invalid('The id is neither a string nor a number, or too long');
    if (textAt(body, root.get('jsonrpc')) !== '2.0') return invalid('jsonrpc is not "2.0"');
    const response = root.has('result') || root.has('error');
    const method = textAt(body, root.get('method'));
    if (method === undefined && !response) return invalid('method is not a string');
    if (method !== undefined && (response || method.length > METHOD_BYTES)) return invalid('method is not valid here');
    if (root.has('params') && this.params === undefined) {
      return { fault: 'params_invalid', reason: 'params is not an object', id };
    }
    const argsBytes = lengthOf(this.args);
    const answerBytes =
      lengthOf(response ? root.get('result') : this.params?.get('inputResponses')) + lengthOf(this.params?.get('requestState'));
    if (answerBytes > ANSWER_BYTES) {
      return { fault: 'params_invalid', reason: `The answers are larger than ${ANSWER_BYTES} bytes`, id };
    }
    if (bytes.length - argsBytes - answerBytes > ENVELOPE_BYTES) {
      return { fault: 'params_invalid', reason: `The message without its arguments is larger than ${ENVELOPE_BYTES} bytes`, id };
    }
    return {
      body,
      id,
      method,
      params: this.params,
      meta: this.meta,
      args: this.args,
      argsMembers: this.argsMembers,
      shape: this.shape(),
    };
  }

  shape(): ArgumentShape[] {
    const shape: ArgumentShape[] = [];
    if (this.argsMembers === undefined) return shape;
    for (const [name, range] of this.argsMembers) {
      if (shape.length === ARGUMENT_NAMES) break;
      shape.push({ name: name.slice(0, NAME_LENGTH), bytes: range.end - range.start });
    }
    return shape;
  }

  fault(kind: number): EnvelopeFault {
    const idRange = this.root.get('id');
    const id = idRange === undefined ? undefined : idText(this.body, idRange);
    switch (kind) {
      case TOO_DEEP:
        return { fault: 'request_invalid', reason: `The message is nested deeper than ${MAX_DEPTH}`, id };
      case DUPLICATE:
        return { fault: 'request_invalid', reason: 'A member stands twice', id };
      case TOO_MANY:
        return { fault: 'request_invalid', reason: `An object of the envelope has more than ${MEMBERS} members`, id };
      default:
        return NO_JSON;
    }
  }
}

function lengthOf(range: Range | undefined): number {
  return range === undefined ? 0 : range.end - range.start;
}

function rootMember(scan: Scan, name: string, at: number): number {
  if (name === 'params' && scan.params === undefined && scan.body.bytes[at] === OPEN_BRACE) {
    scan.params = new Map();
    return scan.object(at, 1, scan.params, paramsMember, MEMBERS);
  }
  return skipValue(scan.body.bytes, at, scan.body.bytes.length, 1);
}

function paramsMember(scan: Scan, name: string, at: number): number {
  if (scan.body.bytes[at] === OPEN_BRACE) {
    if (name === 'arguments' && scan.argsMembers === undefined) {
      scan.argsMembers = new Map();
      const end = scan.object(at, 2, scan.argsMembers, skipMember, Number.MAX_SAFE_INTEGER);
      scan.args = { start: at, end };
      return end;
    }
    if (name === '_meta' && scan.meta === undefined) {
      scan.meta = new Map();
      return scan.object(at, 2, scan.meta, skipMember, MEMBERS);
    }
  }
  return skipValue(scan.body.bytes, at, scan.body.bytes.length, 2);
}

function skipMember(scan: Scan, _name: string, at: number): number {
  return skipValue(scan.body.bytes, at, scan.body.bytes.length, 3);
}

function idText(body: Body, range: Range): string | undefined {
  const first = body.bytes[range.start] as number;
  const scalar = first === QUOTE || first === 0x2d || (first >= 0x30 && first <= 0x39);
  return scalar && range.end - range.start <= ID_BYTES ? rawAt(body, range) : undefined;
}
