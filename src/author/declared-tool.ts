// Definitions of tools that are one request, without code: REST, GraphQL, JSON-RPC.
// Not responsible for running them (egress threads) or for what only the loaded toolset shows (`shared/binding-check`).
// Invariant: pure data that survives JSON; a definition that reads wrong is refused where it stands, with a hint.
import { type Static, type TObject, type TSchema } from 'typebox';
import { requireKnown, requireSchemas, requireText } from './definition-rules.ts';
import { type Common, COMMON_KEYS, seal, type Tool } from './tool.ts';

const BOUND_KEYS = [...COMMON_KEYS, 'connection', 'path', 'headers', 'idempotent', 'idempotencyKey', 'scopesNeeded', 'response'];
const REST_KEYS = new Set([...BOUND_KEYS, 'method', 'query', 'body']);
const GRAPHQL_KEYS = new Set([...BOUND_KEYS, 'document']);
const JSONRPC_KEYS = new Set([...BOUND_KEYS, 'method', 'params']);

type PathParams<P extends string> = P extends `${string}{${infer N}}${infer R}` ? N | PathParams<R> : never;
type Checked<P extends string, K> = [Exclude<PathParams<P>, K>] extends [never]
  ? unknown
  : { 'path parameter is not in inputSchema': Exclude<PathParams<P>, K> };

export interface Bound {
  /** Slot of `connections` in tenant.json. */
  connection: string;
  /** Scopes that the request needs of the service. */
  scopesNeeded?: readonly string[];
  /** The request may be repeated without harm, whatever its method. */
  idempotent?: boolean;
  /**
   * Header (such as `Idempotency-Key`) that carries a random key of the call, the same however often the request is sent; it may
   * then be repeated, whatever its method.
   */
  idempotencyKey?: string;
  response?: {
    /** JMESPath expression applied to the JSON response. */
    select?: string;
    maxBytes?: number;
  };
}

export interface RestTool<I extends TObject, O extends TSchema | undefined, P extends string> extends Common<I, O>, Bound {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** RFC 6570 simple expansion: `{name}` is an argument, encoded as one segment. */
  path: P & Checked<P, keyof Static<I>>;
  /** Names of arguments, or wire name -> argument. */
  query?: readonly (keyof Static<I> & string)[] | Record<string, string>;
  headers?: Record<string, string>;
  /** Names of arguments that make the JSON body; `rest`: all that stand nowhere else. */
  body?: readonly (keyof Static<I> & string)[] | 'rest';
}

/** A declared HTTP request: pure data, run in an egress thread. @throws TypeError where the definition reads wrong. */
export function rest<I extends TObject = TObject<{}>, O extends TSchema | undefined = undefined, const P extends string = string>(
  definition: RestTool<I, O, P>,
): Tool<I, O> {
  requireKnown('rest', definition, REST_KEYS);
  for (const name of ['description', 'connection', 'method', 'path'] as const) requireText('rest', definition, name);
  requireSchemas('rest', definition);
  return seal('rest', definition);
}

export interface GraphqlTool<I extends TObject, O extends TSchema | undefined, P extends string> extends Common<I, O>, Bound {
  /** One query or mutation; its variables are the arguments. `select` and `outputSchema` apply to `data`. */
  document: string;
  /** @default "/graphql" */
  path?: P & Checked<P, keyof Static<I>>;
  headers?: Record<string, string>;
}

/** A GraphQL operation: a fixed document, its variables from the arguments. @throws TypeError where the definition reads wrong. */
export function graphql<
  I extends TObject = TObject<{}>,
  O extends TSchema | undefined = undefined,
  const P extends string = string,
>(definition: GraphqlTool<I, O, P>): Tool<I, O> {
  requireKnown('graphql', definition, GRAPHQL_KEYS);
  for (const name of ['description', 'connection', 'document'] as const) requireText('graphql', definition, name);
  requireSchemas('graphql', definition);
  return seal('graphql', definition);
}

export interface JsonRpcTool<I extends TObject, O extends TSchema | undefined, P extends string> extends Common<I, O>, Bound {
  /** Method of the service. `select` and `outputSchema` apply to `result`. */
  method: string;
  /** Arguments by position, in this order. Default: by name, all that stand in neither path nor headers. */
  params?: readonly (keyof Static<I> & string)[];
  /** @default "/" */
  path?: P & Checked<P, keyof Static<I>>;
  headers?: Record<string, string>;
}

/** A JSON-RPC 2.0 method over HTTP POST. @throws TypeError where the definition reads wrong. */
export function jsonrpc<
  I extends TObject = TObject<{}>,
  O extends TSchema | undefined = undefined,
  const P extends string = string,
>(definition: JsonRpcTool<I, O, P>): Tool<I, O> {
  requireKnown('jsonrpc', definition, JSONRPC_KEYS);
  for (const name of ['description', 'connection', 'method'] as const) requireText('jsonrpc', definition, name);
  requireSchemas('jsonrpc', definition);
  return seal('jsonrpc', definition);
}
