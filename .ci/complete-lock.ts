// Completes package-lock.json: npm leaves out optional packages of other platforms that the registry at hand does not hold, and
// then `npm ci` refuses the lock. Run after every change of dependencies: `node .ci/complete-lock.ts`.
// Not responsible for anything that npm wrote itself. Invariant: adds entries only for optional packages whose name says their
// platform; they are installed nowhere else, and have no integrity until npm on such a platform adds it.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Entry {
  version?: string;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}
const file = process.argv[2] ?? fileURLToPath(new URL('../package-lock.json', import.meta.url));
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Entry> };

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];

/** `@oxlint/binding-linux-x64-musl` -> linux, x64, musl. Undefined where the name says no system and processor. */
function platformOf(name: string): Pick<Entry, 'os' | 'cpu' | 'libc'> | undefined {
  const words = name.split(/[/-]/);
  const os = words.filter((word) => SYSTEMS.includes(word));
  const cpu = words.filter((word) => PROCESSORS.includes(word));
  if (os.length !== 1 || cpu.length !== 1) return undefined;
  const libc = words.some((word) => word.startsWith('musl'))
    ? ['musl']
    : words.some((word) => word.startsWith('gnu'))
      ? ['glibc']
      : [];
  return { os, cpu, ...(os[0] === 'linux' && libc.length > 0 ? { libc } : {}) };
}

const added: string[] = [];
for (const { optionalDependencies = {} } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const platform = platformOf(name);
    const path = `node_modules/${name}`;
    // A range cannot be completed without a registry; such packages come with exact versions.
    if (platform === undefined || lock.packages[path] !== undefined || !/^\d/.test(version)) continue;
    lock.packages[path] = { version, optional: true, ...platform };
    added.push(name);
  }
}
if (added.length > 0) {
  // npm's own order, so that its next run moves nothing.
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(sorted);
  writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
}
process.stdout.write(`${added.length} optional packages of other platforms added\n`);
