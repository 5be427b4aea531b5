// The tripwire: takes what looks like a credential out of text that should never have held one.
// Not responsible for being complete: records and logs hold no values in the first place (allow-list); this catches slips.
// Invariant: what is put in place of a match holds no part of it, and is safe inside JSON text.

const MARKERS = ['lh_', 'earer', 'eyJ', 'asic '] as const;
// Every part that may be tried again from the next character has an end: text of a client must not cost its square.
const SECRETS =
  /\blh_[a-z0-9-]{1,63}_[A-Za-z0-9_-]{16,}|\b(?:[Bb]earer|BEARER|[Bb]asic|BASIC)(?:\s|%20)+[A-Za-z0-9._~+/-]{6,}=*|\beyJ[A-Za-z0-9_-]{8,2048}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?/g;

export const REDACTED = '[redacted]';

/** Works on plain and on JSON text alike: a match never spans a quote or a backslash. */
export function redact(text: string): string {
  // Searches for fixed strings cost far less than the pattern, and almost always suffice.
  for (const marker of MARKERS) if (text.includes(marker)) return text.replace(SECRETS, REDACTED);
  return text.includes('EARER') || text.includes('ASIC ') ? text.replace(SECRETS, REDACTED) : text;
}
