// Entry of a host process, for tools and for egress alike: reads frames from the supervisor, keeps one pool per `open`.
// Not responsible for what runs in the threads, nor for deciding anything: limits, deadlines and policy are the supervisor's.
// Invariant: the main thread never waits for a thread, parses no body, and ends the whole process by SIGKILL when the
// supervisor is gone: `process.exit` does not return while a thread is stuck in native code or an endless loop.
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { CHANNEL_FD, type HostStart } from '../src/boundary/host-start.ts';
import { SupervisorLink } from './host/supervisor-link.ts';

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

process.on('uncaughtException', (error) => {
  // Synchronous: nothing else of this process runs after it.
  writeSync(2, `host failed: ${error instanceof Error ? error.stack : String(error)}\n`);
  die();
});
// A terminal or a service manager signals the whole group; when this process ends is for the supervisor to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.stderr.on('error', () => {});

// Node's own report of a fatal error goes to descriptor 1, in thousands of small writes. They are lost where it does not block, and
// opening `process.stdout` makes it so, which importing `node:process` does, too. What threads print to it goes nowhere.
Object.defineProperty(process, 'stdout', { value: new Writable({ write: (_chunk, _encoding, done) => done() }) });

const start = JSON.parse(process.argv[2] ?? '') as HostStart;
const pipe = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
pipe.on('close', die);
pipe.on('end', die);
pipe.on('error', die);
const link = new SupervisorLink(start, pipe, die);
link.start();
