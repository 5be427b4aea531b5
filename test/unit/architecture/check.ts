// Judges the imports of a checkout by the table in `rules.ts`: one line per violation, with file and line.
// Not responsible for reading files.
// Invariant: says nothing of a clean tree; what it cannot decide (a computed import, an unknown room) is a violation.
import { type Import, packageOf, readSources, resolveRelative, type SourceFile } from './imports.ts';
import { CONTRACTS, EMPTY_NAMES, MAX_LINES, OWNED_PACKAGES, ROOMS, type Room, ROOTS, TYPES_FOR_ALL } from './rules.ts';

/** What package.json says, as far as it matters here. */
export interface PackageFacts {
  readonly name: string;
  readonly dependencies: readonly string[];
}

const within = (path: string, room: string) => path === room || path.startsWith(`${room}/`);

/** The longest room that holds the path. */
export function roomOf(path: string): string | undefined {
  let found: string | undefined;
  for (const room of Object.keys(ROOMS)) {
    if (within(path, room) && room.length > (found?.length ?? 0)) found = room;
  }
  return found;
}

function judgePackage(file: SourceFile, one: Import, name: string, facts: PackageFacts): string | undefined {
  const room = roomOf(file.path) as string;
  if (name === facts.name) {
    // Tool code of the demo says 'leasehold' as every tenant does; the product itself never goes through its own front door.
    return ROOMS[room]?.side === 'tenant' ? undefined : `imports its own package by name ('${one.specifier}')`;
  }
  if (ROOMS[room]?.side === 'tenant') return undefined;
  if (one.typeOnly && name.startsWith('node:')) return undefined;
  const owners = OWNED_PACKAGES[name] ?? OWNED_PACKAGES[name.startsWith('@') ? `${name.split('/')[0]}/*` : name];
  if (owners && !owners.some((owner) => within(file.path, owner)))
    return `imports ${name}, which belongs to ${owners.join(', ')}`;
  if (name.startsWith('node:')) return undefined;
  return facts.dependencies.includes(name) ? undefined : `imports ${name}, which is not in "dependencies"`;
}

function judgeRelative(file: SourceFile, one: Import, known: ReadonlySet<string>): string | undefined {
  const target = resolveRelative(file.path, one.specifier as string);
  if (target.endsWith('.json')) return one.typeOnly || within(target, 'src') ? undefined : `imports ${target}`;
  if (!known.has(target)) return `imports ${target}, which is not a file below ${ROOTS.join(', ')} (write the extension)`;
  const from = roomOf(file.path) as string;
  const to = roomOf(target);
  if (to === undefined || to === from) return undefined;
  const rule = ROOMS[from] as Room;
  if (rule.runs.includes(to)) return undefined;
  if (!one.typeOnly) return `runs ${target}: ${from} may run ${rule.runs.join(', ') || 'nothing else'}`;
  const allowed = [...TYPES_FOR_ALL, ...(rule.types ?? []), ...(rule.side === 'supervisor' ? CONTRACTS : [])];
  return allowed.some((room) => within(target, room)) ? undefined : `takes a type of ${target}, which is no contract`;
}

/**
 * One cycle per group of files that reach each other, as the path that closes it. Types may refer to each other within a room
 * (a tool names its context, the context names tools); what runs may not, and across rooms nothing may.
 */
function cycles(files: readonly SourceFile[]): string[] {
  const edges = new Map<string, string[]>();
  for (const file of files) {
    const targets = new Set<string>();
    for (const one of file.imports) {
      if (!one.specifier?.startsWith('.')) continue;
      const target = resolveRelative(file.path, one.specifier);
      if (!one.typeOnly || roomOf(target) !== roomOf(file.path)) targets.add(target);
    }
    edges.set(file.path, [...targets]);
  }
  const state = new Map<string, 'open' | 'done'>();
  const trail: string[] = [];
  const found: string[] = [];
  const visit = (path: string): void => {
    state.set(path, 'open');
    trail.push(path);
    for (const next of edges.get(path) ?? []) {
      if (state.get(next) === 'open') found.push(`cycle: ${[...trail.slice(trail.indexOf(next)), next].join(' -> ')}`);
      else if (!state.has(next) && edges.has(next)) visit(next);
    }
    trail.pop();
    state.set(path, 'done');
  };
  for (const path of edges.keys()) if (!state.has(path)) visit(path);
  return found;
}

function judgeFile(file: SourceFile): string[] {
  const found: string[] = [];
  for (const error of file.errors) found.push(`${file.path}: does not parse: ${error}`);
  if (!file.opensWithComment) found.push(`${file.path}: does not open with a comment that says what it is`);
  if (file.lines > MAX_LINES) found.push(`${file.path}: has ${file.lines} lines, more than ${MAX_LINES}`);
  const names = file.path.split('/').map((part) => part.replace(/(?:\.d)?\.[cm]?[jt]s$/, ''));
  for (const name of names) {
    if (EMPTY_NAMES.test(name)) found.push(`${file.path}: '${name}' names nothing`);
    if (!/^[a-z0-9]+(?:[.-][a-z0-9]+)*$/.test(name)) found.push(`${file.path}: '${name}' is not kebab-case`);
  }
  if (roomOf(file.path) === undefined) found.push(`${file.path}: is in no room of the table`);
  return found;
}

/** Every violation below `root`, sorted by file; empty for a clean tree. */
export function checkArchitecture(root: string, facts: PackageFacts): string[] {
  const files = readSources(root, ROOTS);
  const known = new Set(files.map((file) => file.path));
  const found: string[] = [];
  for (const file of files) {
    found.push(...judgeFile(file));
    if (roomOf(file.path) === undefined) continue;
    for (const one of file.imports) {
      const where = `${file.path}:${one.line}: `;
      if (one.specifier === undefined) {
        found.push(`${where}imports a computed specifier`);
        continue;
      }
      const wrong = one.specifier.startsWith('.')
        ? judgeRelative(file, one, known)
        : judgePackage(file, one, packageOf(one.specifier), facts);
      if (wrong) found.push(where + wrong);
    }
  }
  return [...found, ...cycles(files)];
}

/** The table itself must have no cycle, or folders could lean on each other through different files. */
export function tableCycles(): string[] {
  const found: string[] = [];
  const visit = (room: string, trail: readonly string[]): void => {
    for (const next of ROOMS[room]?.runs ?? []) {
      if (trail.includes(next)) found.push([...trail, next].join(' -> '));
      else visit(next, [...trail, next]);
    }
  };
  for (const room of Object.keys(ROOMS)) visit(room, [room]);
  return found;
}
