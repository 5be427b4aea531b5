// Retry-After (RFC 9110 10.2.3), both forms, as milliseconds from now.
// Not responsible for whether anybody waits. Invariant: pure; never negative, at most a day; nonsense is undefined.

const LONGEST_MS = 86_400_000;

export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined || value.length > 64) return undefined;
  const text = value.trim();
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : dateOf(text) - now;
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(Math.ceil(wait), 0), LONGEST_MS);
}

/** All three forms of HTTP-date begin with the name of a day; `Date.parse` alone would take `-1` or `2026`. */
function dateOf(text: string): number {
  return /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : Number.NaN;
}
