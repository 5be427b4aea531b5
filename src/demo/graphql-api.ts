// The GraphQL side of the demo API: the cities and their weather.
// Not responsible for HTTP. Invariant: reads only; the engine is loaded at the first request.
import { CITIES } from './api-data.ts';

const SCHEMA = `
  type City { name: String!  country: String!  celsius: Float!  conditions: String!  windKmh: Int! }
  type Query { city(name: String!): City  cities(country: String): [City!]! }
`;
const ROOT = {
  city: ({ name }: { name: string }) => (Object.hasOwn(CITIES, name.toLowerCase()) ? CITIES[name.toLowerCase()] : undefined),
  cities: ({ country }: { country?: string }) =>
    Object.values(CITIES).filter((city) => country === undefined || city.country === country),
};

/** @param body `{ query, variables?, operationName? }` */
export async function answerGraphql(body: unknown): Promise<unknown> {
  const { buildSchema, graphql } = await import('graphql');
  const { query, variables, operationName } = (body ?? {}) as { [member: string]: unknown };
  if (typeof query !== 'string') return { errors: [{ message: 'query must be a string' }] };
  return graphql({
    schema: buildSchema(SCHEMA),
    source: query,
    rootValue: ROOT,
    variableValues: typeof variables === 'object' && variables !== null ? { ...variables } : {},
    operationName: typeof operationName === 'string' ? operationName : null,
  });
}
