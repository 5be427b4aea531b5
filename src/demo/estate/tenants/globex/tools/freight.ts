// Globex ships freight. An npm library, settings of the tenant, state between calls, and a nested call by name.
import { convert } from 'convert';
import { defineTool, defineToolset, ToolError, Type } from 'leasehold';

// The same name as a tool of acme, and nothing else in common.
const hello = defineTool({
  description: 'Open a conversation with the dispatcher and count the visits',
  inputSchema: Type.Object({ name: Type.Optional(Type.String({ default: 'stranger' })) }),
  async handler({ name }, ctx) {
    const visits = ((await ctx.store.subject.get<number>('visits')) ?? 0) + 1;
    await ctx.store.subject.set('visits', visits);
    return `Globex dispatch speaking. Good to hear from you, ${name}: visit ${visits}.`;
  },
});

const convertUnits = defineTool({
  title: 'Convert units',
  description: 'Convert a length between units',
  inputSchema: Type.Object({
    value: Type.Number(),
    from: Type.Enum(['m', 'km', 'ft', 'miles', 'nautical miles']),
    to: Type.Enum(['m', 'km', 'ft', 'miles', 'nautical miles']),
  }),
  outputSchema: Type.Object({ value: Type.Number(), unit: Type.String() }),
  annotations: { readOnlyHint: true },
  handler: ({ value, from, to }) => ({ value: convert(value, from).to(to), unit: to }),
});

const quote = defineTool({
  description: 'Price a transport in any currency',
  inputSchema: Type.Object({
    km: Type.Number({ exclusiveMinimum: 0 }),
    currency: Type.String({ pattern: '^[A-Z]{3}$', default: 'EUR' }),
  }),
  outputSchema: Type.Object({ price: Type.Number(), currency: Type.String() }),
  annotations: { readOnlyHint: true },
  async handler({ km, currency }, ctx) {
    const price = km * Number(ctx.vars['eurosPerKm']);
    if (currency === 'EUR') return { price: cents(price), currency };
    // A tool of a *.binding.json is called by its name; its outputSchema says what comes.
    const { rates } = (await ctx.call('exchange_rates', { base: 'EUR', symbols: [currency] })) as {
      rates: Record<string, number>;
    };
    const rate = rates[currency];
    if (rate === undefined) throw new ToolError(`There is no rate for ${currency}`, { code: 'currency_unknown' });
    return { price: cents(price * rate), currency };
  },
});

function cents(amount: number): number {
  return Math.round(amount * 100) / 100;
}

export default defineToolset({ tools: { hello, convert: convertUnits, quote } });
