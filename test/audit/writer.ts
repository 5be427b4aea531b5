// A process that writes audit records as fast as they become durable and says on stdout which ones did.
// `node writer.ts <dataDir> <id prefix> <segment bytes> [mode]`; it ends by being killed, or by a line on stdin.
import { createAuditLog } from '../../src/audit/log.ts';

const [dataDir = '', prefix = '', segmentBytes = '0', mode = 'grouped'] = process.argv.slice(2);
process.on('SIGXFSZ', () => undefined);
const log = await createAuditLog({
  dataDir,
  mode: mode as 'grouped',
  supervisorId: `writer-${process.pid}`,
  segmentBytes: Number(segmentBytes),
});
process.stdout.write('ready\n');
let stopped = false;
process.stdin.once('data', () => (stopped = true));

let next = 0;
let healthy = true;
async function write(tenant: string): Promise<void> {
  while (!stopped) {
    const id = `${prefix}-${(next += 1)}`;
    try {
      await log.append({ kind: 'store.write', tenant, correlation: id, id, scope: 'tenant', action: 'set', bytes: 1 });
      process.stdout.write(`${tenant} ${id}\n`);
    } catch (error) {
      process.stdout.write(`refused ${(error as { code: string }).code} ${log.healthy()}\n`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (log.healthy() === healthy) continue;
    healthy = !healthy;
    process.stdout.write(healthy ? 'healthy\n' : 'unhealthy\n');
  }
}
await Promise.all(['acme', 'acme', 'acme', 'globex', 'globex', 'initech'].map(write));
await log.close();
process.stdout.write('closed\n');
process.exit(0);
