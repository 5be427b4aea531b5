// The operator's own endpoints, where the configuration wants them: health and metrics on an address of their own.
// Not responsible for what they show. Invariant: without `adminListen` nothing listens.
import type { CompiledServer } from '../config/compiled.ts';
import { createMetrics, type MetricsSources } from '../metrics/exposition.ts';
import { startAdmin } from '../server/admin.ts';
import type { Health } from '../server/ports.ts';
import type { Opened } from './opened.ts';

/** Base of them; undefined where there are none. */
export async function startOperator(
  server: CompiledServer,
  health: () => Health,
  shown: Omit<MetricsSources, 'ready'>,
  opened: Opened,
): Promise<string | undefined> {
  const { adminListen } = server;
  if (adminListen === undefined) return undefined;
  const metrics = opened.use(createMetrics({ ...shown, ready: () => health().ready }));
  const admin = opened.use(await startAdmin({ config: server, listen: adminListen, health, metrics }));
  return admin.url;
}
