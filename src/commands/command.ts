// The shape of one command of the CLI, and the two ways in which a command refuses.
// Not responsible for finding commands (`table`) or for rendering help (`help`); a command does its work in other rooms.
// Invariant: a command touches the world only through `Io`; it ends by returning an exit code or by throwing a
// `UserError` (exit 1) or a `UsageError` (exit 2). Anything else that it throws is a defect and is shown as one.
import { parseArgs, type ParseArgsOptionDescriptor } from 'node:util';

/** What a command may touch of its process. */
export interface Io {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** A person looks at stdout and can answer on stdin. */
  readonly isTTY: boolean;
}

/** One option: node:util `parseArgs` form, plus what help prints. */
export interface OptionSpec extends ParseArgsOptionDescriptor {
  readonly description: string;
  /** Placeholder of a string option in help: `--port <number>`. */
  readonly value?: string;
}
export type OptionSpecs = { readonly [name: string]: OptionSpec };

interface ParseConfig<O extends OptionSpecs> {
  readonly args: string[];
  readonly options: O;
  readonly allowPositionals: true;
  readonly strict: true;
}
export type Values<O extends OptionSpecs> = ReturnType<typeof parseArgs<ParseConfig<O>>>['values'];

export interface CommandInput<O extends OptionSpecs> {
  readonly values: Values<O>;
  readonly positionals: readonly string[];
  readonly io: Io;
}

export interface CommandDefinition<O extends OptionSpecs> {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Positionals and what else follows the name: `<tenant> <tool> [key=value…]`. One line each where there are several forms. */
  readonly usage: readonly [string, ...string[]];
  readonly options: O;
  /** How many positionals there may be. */
  readonly positionals: { readonly min: number; readonly max: number };
  /** Further lines of help: what it does, examples. */
  readonly help?: string;
  /** Resolves to the exit code of the process. */
  run(input: CommandInput<O>): Promise<number>;
}

/** A command with its options' types folded away, as the table holds it. */
export interface Command extends Omit<CommandDefinition<OptionSpecs>, 'run'> {
  /** Parses the arguments after the command's name and runs. Rejects with `UsageError` where they do not fit. */
  run(argv: readonly string[], io: Io): Promise<number>;
}

/** Something the user can put right. `message` is one line that says what is wrong and what to do. Exit 1. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** The command line does not fit the command. Shown with the command's usage line. Exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** `--json`, for the commands that can print for programs. */
export const jsonOption = { type: 'boolean', description: 'print JSON on stdout, everything else on stderr' } as const;

export function defineCommand<const O extends OptionSpecs>(definition: CommandDefinition<O>): Command {
  return {
    ...definition,
    async run(argv, io) {
      const { values, positionals } = parse(definition.options, argv);
      const { min, max } = definition.positionals;
      if (positionals.length < min) throw new UsageError('an argument is missing');
      if (positionals.length > max) throw new UsageError(`unexpected argument '${positionals[max]}'`);
      return definition.run({ values, positionals, io });
    },
  };
}

function parse<O extends OptionSpecs>(options: O, argv: readonly string[]) {
  try {
    return parseArgs<ParseConfig<O>>({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's own texts say which option is wrong and how to write it; they are made for users.
    throw new UsageError(error instanceof Error ? firstSentence(error.message) : String(error));
  }
}

function firstSentence(text: string): string {
  return text.split(/\.\s/, 1)[0] ?? text;
}
