// Reads one secret: from a prompt that does not echo, or from stdin to its end.
// Not responsible for what it is for. Invariant: the value is written nowhere; one line end after it is not part of it.
import { type Io, UserError } from './command.ts';

/** Longest secret, bytes. A header takes 16 KiB. */
export const SECRET_BYTES = 8192;
const INTERRUPT = '\u0003';
const END = '\u0004';
const RUBOUT = ['\u007f', '\b'];

/** What is asked for, in words, and of what or whom. */
export interface Asked {
  readonly what: 'secret' | 'password';
  readonly of: string;
}

export async function readSecret(io: Io, { what, of }: Asked): Promise<string> {
  return checked(isTerminal(io.stdin) ? await prompt(io, io.stdin, `${what} of ${of}`) : await readAll(io.stdin), what);
}

function checked(text: string, what: Asked['what']): string {
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new UserError(`the ${what} is empty; nothing was changed`);
  if (Buffer.byteLength(value) > SECRET_BYTES) throw new UserError(`a ${what} has at most ${SECRET_BYTES} bytes`);
  if (/\p{Cc}|\p{Cs}/u.test(value)) throw new UserError(`a ${what} is one line without control characters; nothing was changed`);
  return value;
}

type Terminal = NodeJS.ReadStream;
function isTerminal(stdin: NodeJS.ReadableStream): stdin is Terminal {
  return 'isTTY' in stdin && stdin.isTTY === true && 'setRawMode' in stdin;
}

async function readAll(stdin: NodeJS.ReadableStream): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stdin) {
    const chunk = Buffer.from(part);
    bytes += chunk.length;
    if (bytes > SECRET_BYTES + 2) throw new UserError(`a secret has at most ${SECRET_BYTES} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString();
}

/** Raw mode: the terminal echoes nothing, and Ctrl-C is ours to see. */
function prompt(io: Io, stdin: Terminal, shown: string): Promise<string> {
  stdin.setRawMode(true);
  // Only now: who is quick to answer would see the answer.
  io.stderr.write(`${shown} (not shown): `);
  stdin.setEncoding('utf8');
  stdin.resume();
  return new Promise((resolve, reject) => {
    let text = '';
    const finish = (end: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      io.stderr.write('\n');
      end();
    };
    const onData = (typed: string): void => {
      for (const key of typed) {
        if (key === '\r' || key === '\n' || key === END) return finish(() => resolve(text));
        if (key === INTERRUPT) return finish(() => reject(new UserError('interrupted; nothing was changed')));
        if (RUBOUT.includes(key)) text = text.replace(/.$/su, '');
        else if (text.length < SECRET_BYTES) text += key;
      }
    };
    stdin.on('data', onData);
  });
}
