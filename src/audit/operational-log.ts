// The operator's log: bunyan records to stderr, as JSON lines, or as readable text on a terminal.
// Not responsible for the audit (`log`): these lines may be lost, and nothing waits for them.
// Invariant: no header and no token can be printed: requests, responses and errors are serialized by allow-list, names of
// secrets are emptied at any depth, and the tripwire runs over every line. What cannot be printed does not throw.
import bunyan from 'bunyan';
import { redact, REDACTED } from './redact.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';
const SECRET_NAME =
  /^(?:authorization|proxy-authorization|cookie|set-cookie|headers|rawheaders|.*(?:token|secret|password|passwd|api[-_]?key|master[-_]?key|private[-_]?key))$/i;
const TEXT = 8192;
const DEPTH = 6;
const ENTRIES = 64;
const COLUMNS = { 10: 'trace', 20: 'debug', 30: 'info ', 40: 'warn ', 50: 'ERROR', 60: 'FATAL' } as const;

/** A copy that can be printed: bounded in depth, width and text, without secrets, functions and getters that throw. */
export function printable(value: unknown, depth: number = 0): unknown {
  if (typeof value === 'string') return value.length > TEXT ? `${value.slice(0, TEXT)}...` : value;
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return serializeError(value, depth);
  if (depth >= DEPTH) return '[deep]';
  if (Array.isArray(value)) return value.slice(0, ENTRIES).map((item) => printable(item, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value).slice(0, ENTRIES)) {
    copy[name] = SECRET_NAME.test(name) ? REDACTED : printable(read(value, name), depth + 1);
  }
  return copy;
}
function read(of: object, name: string): unknown {
  try {
    return (of as Record<string, unknown>)[name];
  } catch {
    return '[unreadable]';
  }
}

function serializeError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const code = read(error, 'code');
  return {
    name,
    message: printable(message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(stack === undefined ? {} : { stack: printable(stack) }),
    ...(cause === undefined || depth >= DEPTH ? {} : { cause: printable(cause, depth + 1) }),
  };
}

interface RequestLike {
  readonly method?: unknown;
  readonly url?: unknown;
  readonly ip?: unknown;
  readonly id?: unknown;
}
/** Method, path without query, peer. Fastify's and Node's requests alike; nothing else of them. */
function serializeRequest(request: unknown): unknown {
  if (typeof request !== 'object' || request === null) return undefined;
  const { method, url, ip, id } = request as RequestLike;
  const path = typeof url === 'string' ? url.split('?', 1)[0] : undefined;
  return { method: printable(method), path: printable(path), ip: printable(ip), id: printable(id) };
}
function serializeResponse(response: unknown): unknown {
  if (typeof response !== 'object' || response === null) return undefined;
  return { status: (response as { statusCode?: unknown }).statusCode };
}

function pretty(record: Record<string, unknown>): string {
  const { name: _n, hostname: _h, pid: _p, v: _v, level, time, msg, err, ...fields } = record;
  const column = COLUMNS[level as keyof typeof COLUMNS] ?? String(level);
  const at = time instanceof Date ? time.toISOString().slice(11, 23) : '';
  const more = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const stack = (err as { stack?: string } | undefined)?.stack;
  // A message of a tenant must not be able to steer the terminal.
  const text = `${at} ${column} ${String(msg)}${more.join('')}${stack === undefined ? '' : `\n${stack}`}`;
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, '?');
}

function line(record: Record<string, unknown>, terminal: boolean): string {
  try {
    const safe = printable(record) as Record<string, unknown>;
    return redact(terminal ? pretty(safe) : JSON.stringify(safe));
  } catch (cause) {
    return JSON.stringify({ level: record['level'], msg: `a log line could not be written: ${(cause as Error).name}` });
  }
}

export interface LogStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** `stream` gets whole lines; JSON unless it is a terminal. */
export function createLog(level: LogLevel, stream: LogStream = process.stderr): bunyan {
  const terminal = stream.isTTY === true;
  const raw = { write: (record: unknown) => void stream.write(`${line(record as Record<string, unknown>, terminal)}\n`) };
  return bunyan.createLogger({
    name: 'leasehold',
    serializers: { req: serializeRequest, res: serializeResponse, request: serializeRequest, response: serializeResponse },
    streams: [{ level, type: 'raw', stream: raw as unknown as NodeJS.WritableStream }],
  });
}
