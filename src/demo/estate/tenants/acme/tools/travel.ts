// Acme plans trips. Code, a declared REST tool, a nested call and progress, in one file.
import { defineTool, defineToolset, rest, ToolError, Type } from 'leasehold';

const hello = defineTool({
  description: 'Greet someone',
  inputSchema: Type.Object({ name: Type.String({ description: 'Whom to greet' }) }),
  annotations: { readOnlyHint: true },
  handler: ({ name }, ctx) => `Hello, ${name}, from ${ctx.tenant}`,
});

// Declared, not programmed: the request is data and no code of this file runs for it.
const weather = rest({
  title: 'Weather',
  description: 'The weather of a city now',
  inputSchema: Type.Object({
    city: Type.String({ description: 'As list_cities names it' }),
    unit: Type.Optional(Type.Enum(['celsius', 'fahrenheit'], { default: 'celsius' })),
  }),
  outputSchema: Type.Object({ city: Type.String(), temperature: Type.Number(), conditions: Type.String() }),
  connection: 'travel',
  method: 'GET',
  path: '/cities/{city}/weather',
  query: ['unit'],
  response: { select: '{city: city, temperature: temperature, conditions: conditions}' },
  annotations: { readOnlyHint: true },
});

const warmest = defineTool({
  title: 'Warmest city',
  description: 'Ask for the weather of several cities and name the warmest',
  inputSchema: Type.Object({ cities: Type.Array(Type.String(), { minItems: 1, maxItems: 20 }) }),
  outputSchema: Type.Object({ city: Type.String(), temperature: Type.Number() }),
  annotations: { readOnlyHint: true },
  async handler({ cities }, ctx) {
    let best: { city: string; temperature: number } | undefined;
    for (const [index, city] of cities.entries()) {
      ctx.progress({ progress: index, total: cities.length, message: `asking for ${city}` });
      const { city: name, temperature } = await ctx.call(weather, { city });
      if (best === undefined || temperature > best.temperature) best = { city: name, temperature };
    }
    if (best === undefined) throw new ToolError('Name at least one city', { code: 'no_city' });
    ctx.log.info('compared', { cities: cities.length, warmest: best.city });
    return best;
  },
});

export default defineToolset({
  instructions: 'Weather for trips. Ask list_cities first: only those cities are known.',
  tools: { hello, weather, warmest },
});
