// The help texts: the list of commands, and one command's page.
// Not responsible for where they are printed.
// Invariant: everything shown comes from the table and the command's own declaration, so it cannot name what does not exist.
import type { Command, OptionSpec } from './command.ts';
import { table } from './table.ts';

export function overview(): string {
  const rows = table.map((entry): Row => [entry.name, entry.summary]);
  return [
    'leasehold runs the MCP servers of many tenants on one node.',
    '',
    'usage: leasehold <command> [options]',
    '',
    ...columns([...rows, ['help <command>', 'show the options of a command']]),
    '',
  ].join('\n');
}

export function usageLine(command: Command): string {
  return command.usage.map((form) => `leasehold ${command.name} ${form}`.trimEnd()).join('\n       ');
}

export function commandHelp(command: Command): string {
  const lines = [`usage: ${usageLine(command)}`, '', capital(command.summary) + '.'];
  const options = Object.entries(command.options).map(optionRow);
  if (options.length > 0) lines.push('', ...columns(options));
  if (command.help !== undefined) lines.push('', command.help.trim());
  return `${lines.join('\n')}\n`;
}

type Row = readonly [left: string, right: string];

function optionRow([name, spec]: readonly [string, OptionSpec]): Row {
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
  const value = spec.type === 'string' ? ` <${spec.value ?? 'text'}>` : '';
  return [`${short}--${name}${value}`, spec.description];
}

function columns(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
