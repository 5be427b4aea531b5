// What one audit record costs the supervisor, with `sleepers` callers that each await their append.
// Not responsible for bars: prints CPU µs per record (user + system, all threads of the process) and latency.
// Conditions: `node bench/micro/audit.ts [records per second] [seconds] [mode]`; data folder in the system's temp folder.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditMode, createAuditLog } from '../../src/audit/log.ts';
import type { AuditEvent } from '../../src/audit/record.ts';
import { newCorrelationId } from '../../src/shared/ids.ts';

const [rate = '20000', seconds = '5', mode = 'grouped'] = process.argv.slice(2);
const perTick = Number(rate) / 1000;
const dataDir = mkdtempSync(join(tmpdir(), 'audit-bench-'));
const log = await createAuditLog({ dataDir, mode: mode as AuditMode, supervisorId: 'bench' });
const bundle = 'f'.repeat(64);

function events(tenant: string, id: string): [AuditEvent, AuditEvent] {
  const who = {
    tenant,
    issuer: 'leasehold',
    subject: 'ada@acme.com',
    credential: '01JD0000000000000000000000',
    client: 'bench 1.0',
    correlation: id,
    trace: '4bf92f3577b34da6a3ce929d0e0e4736',
    id,
  };
  return [
    { ...who, kind: 'call.request', tool: 'echo', bundle, depth: 0, args: [{ name: 'text', bytes: 12 }] },
    { ...who, kind: 'call.outcome', tool: 'echo', bundle, durationMs: 1.234567, outcome: 'ok', resultBytes: 64 },
  ];
}

const latencies: number[] = [];
let done = 0;
let failed = 0;
async function call(tenant: string): Promise<void> {
  const [request, outcome] = events(tenant, newCorrelationId());
  const begun = performance.now();
  try {
    await log.append(request);
    if (done % 16 === 0) latencies.push(performance.now() - begun);
    await log.append(outcome);
    done += 2;
  } catch {
    failed += 1;
  }
}

async function run(forMs: number, work: boolean): Promise<{ cpuUs: number; records: number; ms: number }> {
  const before = { cpu: process.cpuUsage(), done, at: performance.now() };
  let owed = 0;
  let last = before.at;
  while (performance.now() - before.at < forMs) {
    await sleep(1);
    const now = performance.now();
    owed += (now - last) * perTick;
    last = now;
    for (; owed >= 2; owed -= 2) {
      if (work) void call(`tenant-${Math.floor(owed) % 4}`);
      else events('tenant-0', newCorrelationId());
    }
  }
  const cpu = process.cpuUsage(before.cpu);
  return { cpuUs: cpu.user + cpu.system, records: done - before.done, ms: performance.now() - before.at };
}

await run(1000, true);
const idle = await run(2000, false);
const loaded = await run(Number(seconds) * 1000, true);
latencies.sort((a, b) => a - b);
const baseline = (idle.cpuUs / idle.ms) * loaded.ms;
console.log(
  JSON.stringify({
    mode,
    recordsPerSecond: Math.round((loaded.records / loaded.ms) * 1000),
    cpuUsPerRecord: Number(((loaded.cpuUs - baseline) / loaded.records).toFixed(2)),
    cpuUsPerRecordWithDriver: Number((loaded.cpuUs / loaded.records).toFixed(2)),
    appendP50Ms: Number(latencies[latencies.length >> 1]?.toFixed(3)),
    appendP99Ms: Number(latencies[Math.floor(latencies.length * 0.99)]?.toFixed(3)),
    failed,
  }),
);
await log.close();
rmSync(dataDir, { recursive: true });
