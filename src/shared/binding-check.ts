// What can be said of a declared tool without running it: every argument stands somewhere, every name is an argument.
// Not responsible for schemas' validity or the `select` expression (`select`); both are compiled in the egress thread.
// Invariant: pure; executes nothing of the tenant; an empty list means that the request can be built from valid arguments.
import type { GraphqlBinding, JsonRpcBinding, LoadedBinding, LoadedGraphql, RestBinding } from '../boundary/binding.ts';
import { isCredentialHeader, isHeaderName, isHeaderValue, isRuntimeHeader } from './http-headers.ts';
import { parsePathTemplate } from './path-template.ts';

export interface BindingProblem {
  /** Field of the binding: `path`, `query`, `headers`, `body`, `document`, `params`, `idempotencyKey` or `inputSchema`. */
  readonly at: string;
  readonly reason: string;
  readonly hint?: string;
}

export interface DeclaredTool {
  /** JSON Schema of an object. */
  readonly inputSchema: { readonly [keyword: string]: unknown };
  readonly binding: LoadedBinding;
}

type Mapping = NonNullable<RestBinding['query']>;

/** `[wire name, argument]` of a mapping in either form. */
export function mappingEntries(mapping: Mapping | undefined): [wire: string, argument: string][] {
  if (mapping === undefined) return [];
  return Array.isArray(mapping) ? mapping.map((name) => [name, name]) : Object.entries(mapping);
}

/** `{name}` in the value of a header. */
export const HEADER_PLACEHOLDER = /\{([^{}]*)\}/g;

/** Where a GraphQL or JSON-RPC tool that names no path is served. */
const DEFAULT_PATHS = { graphql: '/graphql', jsonrpc: '/' } as const;
export function bindingPath(binding: RestBinding | Omit<GraphqlBinding, 'document'> | JsonRpcBinding): string {
  return binding.kind === 'rest' ? binding.path : (binding.path ?? DEFAULT_PATHS[binding.kind]);
}

export function checkBinding({ inputSchema, binding }: DeclaredTool): BindingProblem[] {
  const problems: BindingProblem[] = [];
  const args = new Arguments(inputSchema, problems);
  checkPath(bindingPath(binding), args, problems);
  for (const [name, value] of Object.entries(binding.headers ?? {})) checkHeader(name, value, args, problems);
  checkKeyHeader(binding, problems);
  switch (binding.kind) {
    case 'rest':
      checkRest(binding, args, problems);
      break;
    case 'graphql':
      checkVariables(binding, args);
      break;
    case 'jsonrpc':
      for (const name of binding.params ?? []) args.place('params', name);
      if (binding.params !== undefined) args.mustAllStand('Name it in params, path or headers, or leave params out.');
      break;
    default:
      binding satisfies never;
  }
  return problems;
}

/** The arguments of a tool, and which of them stand somewhere in its request. */
class Arguments {
  readonly #properties: { readonly [name: string]: unknown };
  readonly #required: readonly unknown[];
  readonly #problems: BindingProblem[];
  readonly #placed = new Set<string>();

  constructor(inputSchema: DeclaredTool['inputSchema'], problems: BindingProblem[]) {
    const { properties, required } = inputSchema;
    this.#properties = isObject(properties) ? properties : {};
    this.#required = Array.isArray(required) ? required : [];
    this.#problems = problems;
  }

  place(at: string, name: string): void {
    this.#placed.add(name);
    if (Object.hasOwn(this.#properties, name)) return;
    this.#problems.push({
      at,
      reason: `uses "${name}", which is no argument`,
      hint: `Arguments: ${Object.keys(this.#properties).join(', ') || 'none'}.`,
    });
  }

  /** A place that cannot stay empty. */
  placeRequired(at: string, name: string): void {
    this.place(at, name);
    const property = Object.hasOwn(this.#properties, name) ? this.#properties[name] : undefined;
    if (!isObject(property) || 'default' in property || this.#required.includes(name)) return;
    this.#problems.push({ at, reason: `uses "${name}", which is optional`, hint: 'Make it required, or give it a default.' });
  }

  mustAllStand(hint: string): void {
    for (const name of Object.keys(this.#properties)) {
      if (this.#placed.has(name)) continue;
      this.#problems.push({ at: 'inputSchema', reason: `the argument "${name}" stands nowhere in the request`, hint });
    }
  }
}

function checkRest(binding: RestBinding, args: Arguments, problems: BindingProblem[]): void {
  for (const [wire, name] of mappingEntries(binding.query)) {
    args.place('query', name);
    if (wire === '') problems.push({ at: 'query', reason: 'has an empty name' });
  }
  if (binding.body !== undefined && binding.method === 'GET') {
    problems.push({ at: 'body', reason: 'GET has no body', hint: 'Use query, or another method.' });
  }
  if (binding.body === 'rest') return;
  for (const [, name] of mappingEntries(binding.body)) args.place('body', name);
  args.mustAllStand('Name it in path, query, headers or body, or set body to "rest".');
}

function checkVariables({ operation }: LoadedGraphql, args: Arguments): void {
  for (const { name, required } of operation.variables) {
    if (required) args.placeRequired('document', name);
    else args.place('document', name);
  }
  args.mustAllStand('Declare it as a variable of the document, or name it in path or headers.');
}

function checkKeyHeader({ idempotencyKey: name, headers = {} }: LoadedBinding, problems: BindingProblem[]): void {
  if (name === undefined) return;
  if (isCredentialHeader(name) || isRuntimeHeader(name))
    problems.push({ at: 'idempotencyKey', reason: `"${name}" cannot be set` });
  if (Object.keys(headers).some((other) => other.toLowerCase() === name.toLowerCase()))
    problems.push({ at: 'idempotencyKey', reason: `"${name}" stands in headers, too` });
}

function checkPath(path: string, args: Arguments, problems: BindingProblem[]): void {
  const parsed = parsePathTemplate(path);
  if (!parsed.ok) {
    problems.push({ at: 'path', reason: parsed.reason });
    return;
  }
  for (const name of new Set(parsed.template.names)) args.placeRequired('path', name);
}

function checkHeader(name: string, value: string, args: Arguments, problems: BindingProblem[]): void {
  if (!isHeaderName(name)) problems.push({ at: 'headers', reason: `"${name}" is no header name` });
  else if (isCredentialHeader(name)) {
    problems.push({ at: 'headers', reason: `"${name}" cannot be set`, hint: 'Credentials come from the connection.' });
  } else if (isRuntimeHeader(name)) problems.push({ at: 'headers', reason: `"${name}" is set by the runtime` });
  if (!isHeaderValue(value))
    problems.push({ at: 'headers', reason: `the value of "${name}" has a character that is not allowed` });
  for (const [, argument = ''] of value.matchAll(HEADER_PLACEHOLDER)) args.place('headers', argument);
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
