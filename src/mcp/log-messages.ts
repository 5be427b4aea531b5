// `notifications/message`: the lines of a tool's log for the client that asked for them, on the stream of its own request.
// Not responsible for the author's log (the tenants' files) or for limits on a line (the boundary has them).
// Invariant: none without a level that the client set; none below it; a flooding tool is heard up to a bound.
import { textAt } from './body.ts';
import type { Envelope } from './envelope.ts';
import type { LogLine } from './ports.ts';

/** RFC 5424, section 6.2.1, least severe first. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;
export type LogLevel = (typeof LEVELS)[number];
const MESSAGES_PER_REQUEST = 1000;
const LEVEL_KEY = 'io.modelcontextprotocol/logLevel';

export function isLogLevel(value: unknown): value is LogLevel {
  return typeof value === 'string' && (LEVELS as readonly string[]).includes(value);
}

/** What a request of 2026-07-28 asks for in its `_meta`: undefined where it asks for nothing, false where it is no level. */
export function levelAsked({ body, meta }: Envelope): LogLevel | undefined | false {
  const range = meta?.get(LEVEL_KEY);
  if (range === undefined) return undefined;
  const level = textAt(body, range);
  return isLogLevel(level) ? level : false;
}

/** A notification for each line at or above the level. */
export function logTo(least: LogLevel, notify: (message: string) => void): (line: LogLine) => void {
  const lowest = LEVELS.indexOf(least);
  let sent = 0;
  return ({ level, logger, message, fields }) => {
    const told: LogLevel = level === 'warn' ? 'warning' : level;
    if (LEVELS.indexOf(told) < lowest || sent >= MESSAGES_PER_REQUEST) return;
    sent += 1;
    const data = fields === undefined ? message : { message, fields };
    const params = JSON.stringify({ level: told, logger, data });
    notify(`{"jsonrpc":"2.0","method":"notifications/message","params":${params}}`);
  };
}
