// Says which tenants' folders were touched, gathered over a short while.
// Not responsible for loading. Invariant: reports names of folders only; what changed in them is found out by loading.
import { join, relative, sep } from 'node:path';
import { watch as chokidar } from 'chokidar';
import { TENANTS_FOLDER } from '../config/load-tenant.ts';

/** An editor saves in several steps. */
const SETTLE_MS = 40;

/** What every tenant may depend on. */
export const ALL_TENANTS = '*';

export interface Watch {
  close(): Promise<void>;
}

/** A file watch costs about 7 KB of heap per tenant; beyond this many, folders are looked at in turn instead. */
export const WATCHED_TENANTS = 500;
const SWEEP_MS = 60_000;
const TICK_MS = 200;

/** Gives every tenant a look within a minute, a few at a time. `list` is asked at the begin of each round. */
export function sweepEstate(list: () => readonly string[], look: (id: string) => void): Watch {
  let round = list();
  let at = 0;
  const timer = setInterval(() => {
    const share = Math.ceil((round.length * TICK_MS) / SWEEP_MS);
    for (const id of round.slice(at, at + share)) look(id);
    at += share;
    if (at < round.length) return;
    round = list();
    at = 0;
  }, TICK_MS);
  timer.unref();
  return { close: async () => clearInterval(timer) };
}

/** Resolves when changes from now on will be seen. `touched`: names of folders below tenants/, or `ALL_TENANTS`. */
export async function watchEstate(estate: string, touched: (names: ReadonlySet<string>) => void): Promise<Watch> {
  const tenants = join(estate, TENANTS_FOLDER);
  let gathered = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const watcher = chokidar([tenants, join(estate, 'shared')], {
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (path) => /(?:^|[\\/])(?:node_modules|\.git|\.leasehold)(?:[\\/]|$)/.test(path.slice(estate.length)),
  });
  watcher.on('all', (_event, path) => {
    const below = relative(tenants, path);
    const outside = below.startsWith('..');
    gathered.add(outside ? ALL_TENANTS : (below.split(sep)[0] ?? ''));
    timer ??= setTimeout(() => {
      const names = gathered;
      gathered = new Set();
      timer = undefined;
      touched(names);
    }, SETTLE_MS);
  });
  // A watcher that fails (too many files) leaves the server serving what it has.
  watcher.on('error', () => undefined);
  await new Promise<void>((resolve) => watcher.once('ready', resolve));
  return {
    close: async () => {
      clearTimeout(timer);
      await watcher.close();
    },
  };
}
