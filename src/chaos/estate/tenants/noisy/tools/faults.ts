// Every way to misbehave that tool code has, one tool each. Nothing here is malicious skill: all of it happens by accident.
import { defineTool, defineToolset, rest, type ToolContext, Type } from 'leasehold';

const nothing = Type.Object({});
type Misbehave = (args: object, ctx: ToolContext) => string | Promise<string>;
const fault = (description: string, handler: Misbehave) => defineTool({ description, inputSchema: nothing, handler });

export default defineToolset({
  tools: {
    ping: fault('Answer', () => 'pong'),

    // time
    spin: fault('Never give the thread back', () => {
      for (;;);
    }),
    regex: fault('Match with a pattern that backtracks for hours', () => String(/^(?:a+)+$/.test(`${'a'.repeat(48)}!`))),
    sort: fault('Sort in native code that nothing interrupts', () => {
      const numbers = Float64Array.from({ length: 4_000_000 }, (_, n) => (n * 7919) % 4_000_037);
      for (;;) numbers.toSorted();
    }),

    // memory
    array: fault('Push to one array for ever', () => {
      const all: number[] = [];
      for (let n = 0; ; n += 1) all.push(n);
    }),
    map: fault('A cache without a bound', () => {
      const cache = new Map<number, number>();
      for (let n = 0; ; n += 1) cache.set(n, n);
    }),
    string: fault('A text without a bound', () => {
      let text = 'x';
      // `at` makes one flat text of the parts, as every use of it would.
      for (;;) text = `${text}${text}${text.at(-1)}`;
    }),
    objects: fault('A list without a bound', () => {
      let chain: unknown = null;
      for (let n = 0; ; n += 1) chain = { chain, text: `${n} of many` };
    }),
    buffers: fault('Memory outside the heap without a bound', () => {
      const all: Uint8Array[] = [];
      for (;;) all.push(new Uint8Array(1_048_576).fill(1));
    }),
    huge: fault('One allocation that V8 cannot refuse', () => String(Array.from({ length: 2 ** 27 }, (_, n) => n / 3).length)),

    // what it says
    logs: fault('A million lines of log', (_, ctx) => {
      for (let n = 0; n < 1_000_000; n += 1) ctx.log.info(`line ${n} ${'x'.repeat(200)}`);
      return 'said';
    }),
    progress: fault('A million steps', (_, ctx) => {
      for (let n = 1; n <= 1_000_000; n += 1) ctx.progress({ progress: n, total: 1_000_000, message: 'x'.repeat(200) });
      return 'done';
    }),
    result: fault('A result of 200 MB', () => 'x'.repeat(209_715_200)),
    large: fault('A result that is just allowed', () => 'x'.repeat(7_000_000)),
    cycle: fault('A result that is no JSON', () => {
      const loop: Record<string, unknown> = { call: () => loop };
      loop['self'] = loop;
      return loop as never;
    }),

    // what it leaves behind
    rejections: fault('Promises that fail and that nobody awaits', () => {
      for (let n = 0; n < 1000; n += 1) void Promise.reject(new Error(`nobody waits for ${n}`));
      return 'left';
    }),
    timers: fault('Timers that go on after the answer', () => {
      for (let n = 0; n < 100; n += 1) {
        setInterval(() => {
          const until = Date.now() + 50;
          while (Date.now() < until);
          throw new Error('late');
        }, 1);
      }
      return 'left';
    }),
    exit: fault('End the process', () => {
      (process as unknown as { exit(code: number): void }).exit(7);
      return 'still here';
    }),
    crypto: fault('Keep the thread pool of the process busy', async () => {
      const { subtle } = (globalThis as { crypto?: Partial<Crypto> }).crypto ?? {};
      if (subtle === undefined) return 'no WebCrypto here';
      const key = await subtle.importKey('raw', new Uint8Array(16), 'PBKDF2', false, ['deriveBits']);
      const salt = new Uint8Array(16);
      const derive = () => subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-512', salt, iterations: 20_000_000 }, key, 512);
      await Promise.all(Array.from({ length: 16 }, derive));
      return 'derived';
    }),

    // the world outside
    slow: rest({ description: 'An upstream that takes its time', connection: 'upstream', method: 'GET', path: '/slow' }),
    bomb: rest({ description: 'A small body that becomes 300 MB', connection: 'upstream', method: 'GET', path: '/bomb' }),
    named: rest({ description: 'A name that nobody resolves', connection: 'named', method: 'GET', path: '/' }),
  },
});
