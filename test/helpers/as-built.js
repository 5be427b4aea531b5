// Loaded by the runner before a test file (`.taprc`): the product under test is `dist/`, as the package ships it.
// Not responsible for building: `npm test` does. Invariant: without it (`node test/x.test.ts`) a test runs the sources, and is the same test.
import { existsSync } from 'node:fs';
import { enableCompileCache, registerHooks } from 'node:module';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = new URL('../..', import.meta.url);
const built = new URL('dist/', root).href;
const SOURCES = ['src/', 'workers/'].map((folder) => new URL(folder, root).href);
/** They start hosts and threads of `test/fixtures`, which import sources: so these tests run the product in source form. */
const IN_SOURCE_FORM = ['isolation/foreign-bytes.test.ts', 'isolation/hosts.test.ts', 'isolation/os-wall.test.ts'];
const inSourceForm = IN_SOURCE_FORM.some((file) => process.argv[1] === fileURLToPath(new URL(`test/${file}`, root)));

// Test files, and the tests' own TypeScript programs, are stripped of types and compiled once.
const cache = fileURLToPath(new URL('.tap/compile-cache', root));
enableCompileCache(cache);
process.env['NODE_COMPILE_CACHE'] = cache;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    if (inSourceForm || !SOURCES.some((folder) => found.url.startsWith(folder)) || !found.url.endsWith('.ts')) return found;
    const url = `${built}${found.url.slice(root.href.length, -'.ts'.length)}.js`;
    return existsSync(fileURLToPath(url)) ? { ...found, url, format: 'module' } : found;
  },
});
