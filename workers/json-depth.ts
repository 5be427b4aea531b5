// How deep a JSON text is nested, found without building the value.
// Not responsible for whether the text is JSON: brackets are counted, strings are skipped.
// Invariant: linear in the text, no recursion, no allocation.

/** Levels of arrays and objects, at most, in anything that crosses to or from tenant code. Far below any stack. */
export const JSON_DEPTH = 128;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** @param text JSON as UTF-8; no byte of a longer character is below 0x80, so bytes can be compared. */
export function isTooDeep(text: Uint8Array): boolean {
  if (text.byteLength <= JSON_DEPTH) return false;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.byteLength; i += 1) {
    const byte = text[i];
    if (inString) {
      if (byte === BACKSLASH) i += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (depth > JSON_DEPTH) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return false;
}
