// From the words of a command line to one command and its exit code.
// Not responsible for what commands do, nor for the Node version (`cli` has checked it before this file is loaded).
// Invariant: 0 done, 1 the user can put it right, 2 wrong command line, 70 a defect; a defect alone shows a stack.
import { commandHelp, overview, usageLine } from './help.ts';
import { type Io, UsageError, UserError } from './command.ts';
import { nearest } from '../shared/nearest.ts';
import { findCommand, table } from './table.ts';
import { leaseholdVersion } from './version-of.ts';

export function processIo(): Io {
  // A reader that went away (`leasehold logs | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    isTTY: process.stdout.isTTY === true && process.stdin.isTTY === true,
  };
}

export async function main(argv: readonly string[], io: Io): Promise<number> {
  const [first, ...rest] = argv;
  switch (first) {
    case undefined:
      io.stderr.write(overview());
      return 2;
    case '--version':
    case '-v':
      io.stdout.write(`${leaseholdVersion()}\n`);
      return 0;
    case '--help':
    case '-h':
      io.stdout.write(overview());
      return 0;
    case 'help':
      return rest[0] === undefined ? main(['--help'], io) : showHelp(rest[0], io);
    default:
      return asksForHelp(rest) ? showHelp(first, io) : runCommand(first, rest, io);
  }
}

/** `--help` counts up to `--`, so that it can still be the value of what follows. */
function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  const own = end === -1 ? argv : argv.slice(0, end);
  return own.includes('--help') || own.includes('-h');
}

async function showHelp(name: string, io: Io): Promise<number> {
  const command = await findCommand(name);
  if (command === undefined) return unknown(name, io);
  io.stdout.write(commandHelp(command));
  return 0;
}

async function runCommand(name: string, argv: readonly string[], io: Io): Promise<number> {
  const command = await findCommand(name);
  if (command === undefined) return unknown(name, io);
  try {
    return await command.run(argv, io);
  } catch (error) {
    if (error instanceof UserError) {
      io.stderr.write(`✗ ${error.message}\n`);
      return 1;
    }
    if (error instanceof UsageError) {
      io.stderr.write(`✗ ${error.message}\nusage: ${usageLine(command)}\n`);
      return 2;
    }
    throw error;
  }
}

function unknown(name: string, io: Io): number {
  const word = name.startsWith('-') ? 'option' : 'command';
  const meant = nearest(
    name,
    table.map((entry) => entry.name),
  );
  const hint = meant === undefined ? 'leasehold --help lists them.' : `Did you mean '${meant}'?`;
  io.stderr.write(`✗ unknown ${word} '${name}'. ${hint}\n`);
  return 2;
}
