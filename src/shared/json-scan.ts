// A validating scanner over JSON bytes: tells where a value ends without building it (RFC 8259 grammar).
// Not responsible for UTF-8 (the caller checks it once, natively) or for what a value means.
// Invariant: accepts exactly what JSON.parse accepts, except for nesting deeper than MAX_DEPTH; never reads past `end`.

/** Deepest nesting of a message, counted from its outermost brace. */
export const MAX_DEPTH = 64;

/** Faults are negative, so that a position and a fault fit one number on the hot path. */
export const INVALID = -1;
export const TOO_DEEP = -2;

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_BRACKET = 0x5b;
export const BACKSLASH = 0x5c;
export const CLOSE_BRACKET = 0x5d;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

export function skipSpace(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const c = bytes[at];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
    at += 1;
  }
  return at;
}

/** `from` is behind the opening quote; returns the position behind the closing one. */
export function skipString(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const c = bytes[at] as number;
    if (c === QUOTE) return at + 1;
    if (c < 0x20) return INVALID;
    if (c === BACKSLASH) {
      at = skipEscape(bytes, at + 1, end);
      if (at < 0) return at;
    } else {
      at += 1;
    }
  }
  return INVALID;
}

function skipEscape(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return INVALID;
  switch (bytes[at]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // slash
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 1;
    case 0x75: // u
      if (at + 5 > end) return INVALID;
      for (let i = at + 1; i < at + 5; i += 1) if (!isHex(bytes[i] as number)) return INVALID;
      return at + 5;
    default:
      return INVALID;
  }
}

function isHex(c: number): boolean {
  return (c >= ZERO && c <= NINE) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66);
}

function skipDigits(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const c = bytes[at] as number;
    if (c < ZERO || c > NINE) break;
    at += 1;
  }
  return at === from ? INVALID : at;
}

function skipNumber(bytes: Uint8Array, from: number, end: number): number {
  let at = bytes[from] === MINUS ? from + 1 : from;
  if (at < end && bytes[at] === ZERO) at += 1;
  else {
    at = skipDigits(bytes, at, end);
    if (at < 0) return at;
  }
  if (at < end && bytes[at] === 0x2e) {
    at = skipDigits(bytes, at + 1, end);
    if (at < 0) return at;
  }
  if (at < end && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
    at += 1;
    if (at < end && (bytes[at] === 0x2b || bytes[at] === MINUS)) at += 1;
    at = skipDigits(bytes, at, end);
  }
  return at;
}

/** `text` stands in ASCII at `at`. */
function skipWord(bytes: Uint8Array, at: number, end: number, text: string): number {
  if (at + text.length > end) return INVALID;
  for (let i = 0; i < text.length; i += 1) if (bytes[at + i] !== text.charCodeAt(i)) return INVALID;
  return at + text.length;
}

/** `at` is the first byte of a value; `depth` is how many containers are open around it. Returns the position behind it, or a fault. */
export function skipValue(bytes: Uint8Array, at: number, end: number, depth: number): number {
  if (at >= end) return INVALID;
  switch (bytes[at]) {
    case QUOTE:
      return skipString(bytes, at + 1, end);
    case OPEN_BRACE:
      return skipObject(bytes, at, end, depth);
    case OPEN_BRACKET:
      return skipArray(bytes, at, end, depth);
    case 0x74:
      return skipWord(bytes, at, end, 'true');
    case 0x66:
      return skipWord(bytes, at, end, 'false');
    case 0x6e:
      return skipWord(bytes, at, end, 'null');
    default:
      return skipNumber(bytes, at, end);
  }
}

function skipArray(bytes: Uint8Array, from: number, end: number, depth: number): number {
  if (depth >= MAX_DEPTH) return TOO_DEEP;
  let at = skipSpace(bytes, from + 1, end);
  if (at < end && bytes[at] === CLOSE_BRACKET) return at + 1;
  for (;;) {
    at = skipValue(bytes, at, end, depth + 1);
    if (at < 0) return at;
    at = skipSpace(bytes, at, end);
    if (at >= end) return INVALID;
    if (bytes[at] === CLOSE_BRACKET) return at + 1;
    if (bytes[at] !== COMMA) return INVALID;
    at = skipSpace(bytes, at + 1, end);
  }
}

function skipObject(bytes: Uint8Array, from: number, end: number, depth: number): number {
  if (depth >= MAX_DEPTH) return TOO_DEEP;
  let at = skipSpace(bytes, from + 1, end);
  if (at < end && bytes[at] === CLOSE_BRACE) return at + 1;
  for (;;) {
    at = skipKey(bytes, at, end);
    if (at < 0) return at;
    at = skipValue(bytes, at, end, depth + 1);
    if (at < 0) return at;
    at = skipSpace(bytes, at, end);
    if (at >= end) return INVALID;
    if (bytes[at] === CLOSE_BRACE) return at + 1;
    if (bytes[at] !== COMMA) return INVALID;
    at = skipSpace(bytes, at + 1, end);
  }
}

/** `at` is the opening quote of a member name; returns the first byte of its value. */
function skipKey(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end || bytes[at] !== QUOTE) return INVALID;
  const behind = skipString(bytes, at + 1, end);
  return behind < 0 ? behind : skipColon(bytes, behind, end);
}

export function skipColon(bytes: Uint8Array, from: number, end: number): number {
  const at = skipSpace(bytes, from, end);
  return at < end && bytes[at] === COLON ? skipSpace(bytes, at + 1, end) : INVALID;
}
