// `Mcp-Param-*` headers of a tools/call against its arguments (2026-07-28, "Server Behavior for Custom Headers").
// Not responsible for what may be annotated (`shared/param-headers`) or for validating arguments (the threads).
// Invariant: a header that a gateway may route by says what the tool will read, or the request is refused; of the arguments only
// annotated ones are read, and a tool without annotations costs one look into a map.
import { declaredHeaders, type ParamHeader } from '../shared/param-headers.ts';
import { reject, type Rejection } from './classify.ts';
import { rawAt } from './body.ts';
import type { Envelope } from './envelope.ts';
import { decodeHeaderValue } from './header-value.ts';
import type { McpHeaders } from './inbound.ts';
import type { ListedTool } from './ports.ts';

const known = new WeakMap<ListedTool, readonly ParamHeader[]>();

function declared(tool: ListedTool): readonly ParamHeader[] {
  let headers = known.get(tool);
  if (headers === undefined) {
    headers = declaredHeaders(tool.inputSchema);
    known.set(tool, headers);
  }
  return headers;
}

/** Undefined where all headers agree. */
export function paramMismatch(tool: ListedTool | undefined, headers: McpHeaders, envelope: Envelope): Rejection | undefined {
  if (tool === undefined) return undefined;
  for (const header of declared(tool)) {
    const sent = headers.param(header.name);
    const value = argumentAt(envelope, header.path);
    const given = value !== undefined && value !== null;
    if (sent === undefined && !given) continue;
    if (sent === undefined) return mismatch(header, 'is missing', envelope);
    const meant = decodeHeaderValue(sent);
    if (meant === undefined || !given || !says(header, meant, value)) return mismatch(header, 'differs from the body', envelope);
  }
  return undefined;
}

/** As JSON.parse reads it, as the tool's thread does; undefined where there is none. */
function argumentAt(envelope: Envelope, [first, ...rest]: readonly string[]): unknown {
  const range = first === undefined ? undefined : envelope.argsMembers?.get(first);
  if (range === undefined) return undefined;
  let value: unknown = JSON.parse(rawAt(envelope.body, range));
  for (const name of rest) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function says({ type }: ParamHeader, meant: string, value: unknown): boolean {
  // Numerically: 42.0 and 42 are equal. Number() takes other notations and white space too, so the form is looked at first.
  const equal = type === 'integer' && /^-?\d+(?:\.0+)?$/.test(meant) && Number(meant) === value;
  // A value of another type is for the tool's thread to refuse, which tells what is wrong with it.
  return equal || (['string', 'boolean', 'number'].includes(typeof value) && meant === String(value));
}

function mismatch({ name }: ParamHeader, what: string, { id }: Envelope): Rejection {
  return reject('header_mismatch', `Mcp-Param-${name} ${what}`, id);
}
