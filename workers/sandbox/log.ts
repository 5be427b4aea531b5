// `ctx.log`, `ctx.progress` and `ctx.notifyResourceUpdated`: one-way notices of one call, bounded before they leave the thread.
// Not responsible for redaction or formats: the supervisor writes the line.
// Invariant: never throws for what it is given, and a call sends no more lines than its limit plus one that says so.
import type { Log } from '../../src/author/context.ts';
import type { Notice } from '../../src/boundary/host-request.ts';
import type { JsonObject } from '../../src/shared/json.ts';
import { isJsonObject, plainJson } from './plain-json.ts';

const MESSAGE_CHARACTERS = 8192;
const FIELDS_CHARACTERS = 8192;
const PROGRESS_MESSAGE_CHARACTERS = 4096;

type Tell = (notice: Notice) => void;

/** The two ways to write a line of a call, under one limit: `ctx.log`, and `console`, which no client gets to read. */
export interface Logs {
  readonly log: Log;
  readonly console: Log;
}

export function createLogs(tell: Tell, maxLines: number): Logs {
  let lines = 0;
  const writer =
    (level: keyof Log, source: { console?: true }) =>
    (message: string, fields?: JsonObject): void => {
      lines += 1;
      if (lines <= maxLines) {
        tell({ kind: 'log', level, message: textOf(message, MESSAGE_CHARACTERS), ...fieldsOf(fields), ...source });
      } else if (lines === maxLines + 1) {
        tell({ kind: 'log', level: 'warn', message: `More than ${maxLines} lines; the rest is dropped.`, console: true });
      }
    };
  const logOf = (source: { console?: true }): Log =>
    Object.freeze({
      debug: writer('debug', source),
      info: writer('info', source),
      warn: writer('warn', source),
      error: writer('error', source),
    });
  return { log: logOf({}), console: logOf({ console: true }) };
}

const UPDATES_PER_CALL = 1000;
const URI_CHARACTERS = 2048;

/** `ctx.notifyResourceUpdated`. */
export function createUpdated(tell: Tell): (uri: string) => void {
  let sent = 0;
  return (uri) => {
    if (typeof uri !== 'string' || uri === '' || uri.length > URI_CHARACTERS) {
      throw new TypeError(`ctx.notifyResourceUpdated: the URI must be a text of 1 to ${URI_CHARACTERS} characters.`);
    }
    sent += 1;
    if (sent <= UPDATES_PER_CALL) tell({ kind: 'resource_updated', uri });
  };
}

/** One step more than the limit leaves the thread, so that the supervisor can count that it was met. */
export function createProgress(
  tell: Tell,
  most: number,
): (update: { progress: number; total?: number; message?: string }) => void {
  let sent = 0;
  return ({ progress, total, message }) => {
    if (!Number.isFinite(progress)) throw new TypeError('progress must be a number.');
    if (total !== undefined && !Number.isFinite(total)) throw new TypeError('total must be a number.');
    sent += 1;
    if (sent > most + 1) return;
    tell({
      kind: 'progress',
      progress,
      ...(total === undefined ? {} : { total }),
      ...(message === undefined ? {} : { message: textOf(message, PROGRESS_MESSAGE_CHARACTERS) }),
    });
  };
}

function textOf(value: unknown, characters: number): string {
  try {
    return String(value).slice(0, characters);
  } catch {
    return '(a value that cannot be printed)';
  }
}

function fieldsOf(fields: unknown): { fields?: Record<string, unknown> } {
  if (fields === undefined) return {};
  const plain = plainJson(fields, FIELDS_CHARACTERS);
  return { fields: isJsonObject(plain) ? plain : { dropped: `no JSON object of at most ${FIELDS_CHARACTERS} characters` } };
}
