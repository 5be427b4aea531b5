// The fixed data of the demo API. Not responsible for serving it. Invariant: never changed.

export const CITIES: Readonly<
  Record<string, { name: string; country: string; celsius: number; conditions: string; windKmh: number }>
> = {
  amsterdam: { name: 'Amsterdam', country: 'NL', celsius: 11.5, conditions: 'rain', windKmh: 28 },
  lagos: { name: 'Lagos', country: 'NG', celsius: 29, conditions: 'thunderstorm', windKmh: 14 },
  lima: { name: 'Lima', country: 'PE', celsius: 18.5, conditions: 'fog', windKmh: 9 },
  'new york': { name: 'New York', country: 'US', celsius: 7, conditions: 'clear', windKmh: 21 },
  zürich: { name: 'Zürich', country: 'CH', celsius: 4.5, conditions: 'snow', windKmh: 6 },
};
/** Units of the currency for one euro. */
export const PER_EURO: Readonly<Record<string, number>> = { CHF: 0.9372, EUR: 1, GBP: 0.8451, JPY: 162.35, USD: 1.0843 };

/** Both must be keys of `PER_EURO`. Rounded to four digits. */
export function rateOf(base: string, symbol: string): number {
  return Math.round(((PER_EURO[symbol] as number) / (PER_EURO[base] as number)) * 10_000) / 10_000;
}
