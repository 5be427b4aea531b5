// One line of the author's log, for a person.
// Not responsible for where lines come from.
// Invariant: what a tool printed cannot move the cursor or recolour the terminal: control characters are shown, not sent.
import { styleText } from 'node:util';
import type { StampedLine } from '../tenants/author-log.ts';

const LEVEL_STYLE = { debug: 'dim', info: 'cyan', warn: 'yellow', error: 'red' } as const;

export interface LineStyle {
  readonly colour: boolean;
}

/** `10:31:12.042  acme  hello  info   closed  n=3   call 01JD…`, and a stack below, where there is one. */
export function formatLine(line: StampedLine, { colour }: LineStyle): string {
  const paint = (style: 'dim' | 'cyan' | 'yellow' | 'red', text: string) =>
    colour ? styleText(style, text, { validateStream: false }) : text;
  const words = [paint('dim', line.time.slice(11, 23)), line.tenant, line.tool ?? '-'];
  words.push(paint(LEVEL_STYLE[line.level] ?? 'cyan', line.level.padEnd(5)), printable(line.message));
  for (const [name, value] of Object.entries(line.fields ?? {})) words.push(printable(`${name}=${fieldText(value)}`));
  if (line.call !== undefined) words.push(paint('dim', `call ${line.call}`));
  if (line.saw !== undefined) words.push(paint('dim', `(the caller saw: ${line.saw})`));
  const stack =
    line.stack === undefined
      ? ''
      : `\n${line.stack
          .split('\n')
          .map((each) => `    ${printable(each)}`)
          .join('\n')}`;
  return `${words.join('  ')}${stack}\n`;
}

function fieldText(value: unknown): string {
  return typeof value === 'string' && /^\S*$/.test(value) ? value : (JSON.stringify(value) ?? 'undefined');
}

/** Controls (C0, C1, DEL) and bidirectional overrides as `\\x1b`, line ends as `⏎`, so that one log line stays one line. */
export function printable(text: string): string {
  const escape = (c: string) => `\\x${(c.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`;
  return text.replaceAll(/\r?\n/g, ' ⏎ ').replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, escape);
}
