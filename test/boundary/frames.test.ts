// The wire: whatever pieces the bytes come in, the same frames come out; whatever a host writes, the limits hold.
import assert from 'node:assert/strict';
import { Duplex, PassThrough } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import {
  BODY_WINDOW_BYTES,
  BodySender,
  type ChunkHeader,
  POOL_WINDOW_BYTES,
  PoolWindow,
} from '../../src/boundary/body-sender.ts';
import { checkFromHost } from '../../src/boundary/frame-checks.ts';
import { FrameDecoder, FrameWriter, MAX_BODY_BYTES, MAX_HEADER_BYTES } from '../../src/boundary/frame-codec.ts';
import { giveBody, ownBytes, TRANSFER_FROM_BYTES } from '../../src/boundary/thread-messages.ts';
import { release } from '../../src/shared/release.ts';

const NONE = Buffer.alloc(0);

interface Seen {
  header: unknown;
  body: Buffer;
}
function collect(): { seen: Seen[]; decoder: FrameDecoder } {
  const seen: Seen[] = [];
  const decoder = new FrameDecoder((header, body) => seen.push({ header, body: Buffer.from(body) }));
  return { seen, decoder };
}
/** The bytes that a writer makes of frames, and in how many writes. */
async function written(frames: readonly (readonly [object, Uint8Array?])[]): Promise<{ bytes: Buffer; writes: number }> {
  const sink = new PassThrough({ highWaterMark: 100_000_000 });
  const parts: Buffer[] = [];
  sink.on('data', (part: Buffer) => parts.push(part));
  await new Promise<void>((resolve) => {
    const writer = new FrameWriter<object>(sink, resolve);
    for (const [header, body] of frames) assert.equal(writer.send(header, body), true);
    if (frames.length === 0) resolve();
  });
  return { bytes: Buffer.concat(parts), writes: parts.length };
}
function raw(header: string, body = Buffer.alloc(0)): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32BE(Buffer.byteLength(header), 0);
  prefix.writeUInt32BE(body.length, 4);
  return Buffer.concat([prefix, Buffer.from(header), body]);
}

t.test('frames survive the way in any pieces', async () => {
  const frame = fc.tuple(fc.dictionary(fc.string(), fc.jsonValue()), fc.uint8Array({ maxLength: 20_000 }));
  const property = fc.asyncProperty(
    fc.array(frame, { maxLength: 12 }),
    fc.infiniteStream(fc.integer({ min: 1, max: 9000 })),
    async (frames, sizes) => {
      const { bytes } = await written(frames);
      const { seen, decoder } = collect();
      for (let at = 0; at < bytes.length; ) {
        const size = sizes.next().value;
        assert.equal(decoder.push(bytes.subarray(at, at + size)), undefined);
        at += size;
      }
      assert.equal(seen.length, frames.length);
      for (const [i, [header, body]] of frames.entries()) {
        assert.deepEqual(seen[i]?.header, JSON.parse(JSON.stringify(header)));
        assert.ok(seen[i]?.body.equals(body));
      }
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

t.test('three frames, split at every byte', async (t) => {
  const frames = [[{ a: 'ä€😀' }, Buffer.from('one')], [{ b: 2 }], [{ c: 3 }, Buffer.alloc(300, 7)]] as const;
  const { bytes } = await written(frames);
  let wrong = 0;
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const { seen, decoder } = collect();
    decoder.push(bytes.subarray(0, cut));
    decoder.push(bytes.subarray(cut));
    const whole = seen.length === 3 && seen[2]?.body.equals(Buffer.alloc(300, 7)) === true;
    if (!whole || (seen[0]?.header as { a: string } | undefined)?.a !== 'ä€😀') wrong += 1;
  }
  t.equal(wrong, 0);
  const { seen, decoder } = collect();
  for (const byte of bytes) decoder.push(Buffer.from([byte]));
  t.equal(seen.length, 3);
});

t.test('many small frames of one turn are one write', async (t) => {
  const { bytes, writes } = await written(Array.from({ length: 200 }, (_, n) => [{ n }, Buffer.from('{}')] as const));
  t.equal(writes, 1);
  const { seen, decoder } = collect();
  decoder.push(bytes);
  t.equal(seen.length, 200);
  t.same(seen[199]?.header, { n: 199 });
});

t.test('what does not fit is refused by the writer', async (t) => {
  const sink = new PassThrough();
  const writer = new FrameWriter<object>(sink);
  t.equal(writer.send({ x: 'x'.repeat(MAX_HEADER_BYTES) }), false, 'header by characters');
  t.equal(writer.send({ x: '€'.repeat(30_000) }), false, 'header by bytes');
  t.equal(writer.send({}, new Uint8Array(MAX_BODY_BYTES + 1)), false, 'body');
  t.equal(writer.send({ x: 1n }), false, 'not JSON');
  const loop: { self?: object } = {};
  loop.self = loop;
  t.equal(writer.send(loop), false, 'a cycle');
  t.equal(writer.backlog, 0);
});

t.test('a large piece is freed once its bytes are elsewhere, and no body with it', async (t) => {
  const frames = Array.from({ length: 40 }, (_, i) => [{ i }, Buffer.alloc((i * 7919) % MAX_BODY_BYTES, i + 1)] as const);
  const { bytes } = await written(frames);
  for (const size of [16_384, 30_011, 65_536]) {
    const bodies: Uint8Array[] = [];
    const decoder = new FrameDecoder((_header, body) => bodies.push(body));
    let freed = 0;
    for (let at = 0; at < bytes.length; at += size) {
      // As a read of the pipe: alone in its memory.
      const piece = Buffer.from(new Uint8Array(bytes.subarray(at, at + size)).buffer);
      t.equal(decoder.push(piece), undefined);
      if (piece.buffer.byteLength === 0) freed += 1;
    }
    // Looked at when everything has come: what was freed too early would be empty now.
    t.ok(frames.every(([, body], i) => body.equals(bodies[i] ?? NONE)));
    t.ok(freed > 0, 'pieces without a view are freed');
  }
});

t.test('only memory that nothing else is in is released', async (t) => {
  const alone = new Uint8Array(20_000);
  release(alone);
  t.equal(alone.byteLength, 0);
  const result = new Uint8Array(20_000).subarray(1);
  release(result);
  t.equal(result.byteLength, 0, 'a result without its first brace');
  const shared = new Uint8Array(40_000);
  release(shared.subarray(0, 39_998));
  t.equal(shared.byteLength, 40_000);
  const small = new Uint8Array(16_000);
  release(small);
  t.equal(small.byteLength, 16_000);
});

t.test('hostile bytes end the decoder', async (t) => {
  const good = raw('{"t":"pong","seq":1}');
  const cases: [string, Buffer, string][] = [
    ['header length', Buffer.from('00010001ffffffff', 'hex'), 'header_too_large'],
    ['length beyond 31 bits', Buffer.from('ffffffff00000000', 'hex'), 'header_too_large'],
    ['body length', Buffer.from('0000000200010001', 'hex'), 'body_too_large'],
    ['no header', Buffer.from('0000000000000000', 'hex'), 'header_empty'],
    ['half a header', raw('{"t":'), 'header_not_json'],
    ['two values', raw('{}{}'), 'header_not_json'],
  ];
  for (const [name, bytes, fault] of cases) {
    const { seen, decoder } = collect();
    t.equal(decoder.push(good), undefined);
    t.equal(decoder.push(bytes), fault, name);
    t.equal(decoder.push(good), fault, 'and stays ended');
    t.equal(seen.length, 1);
  }
  const deep = raw('['.repeat(30_000) + ']'.repeat(30_000));
  t.doesNotThrow(() => collect().decoder.push(deep), 'depth costs no crash');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4000 }), (bytes) => {
      collect().decoder.push(Buffer.from(bytes));
    }),
  );
});

t.test('only the shapes of the catalogue pass', async (t) => {
  const pass = [
    { t: 'outcome', call: 1, outcome: { status: 'ok' } },
    { t: 'outcome', call: 1, more: true, outcome: { status: 'ok', meta: { a: 1 } } },
    { t: 'outcome', call: 1, outcome: { status: 'error', failure: { code: 'tool_failed', detail: 'x' } } },
    { t: 'notice', call: 1, notice: { kind: 'log', level: 'info', message: 'x' } },
    { t: 'request', call: 1, request: 1, ask: { op: 'store', scope: 'tenant', action: 'get', key: 'k' } },
    { t: 'chunk', stream: '1' },
    { t: 'pong', seq: 3 },
  ];
  for (const frame of pass) t.ok(checkFromHost(frame), JSON.stringify(frame));
  const refuse = [
    null,
    7,
    'outcome',
    [],
    {},
    { t: 'toString' },
    { t: 'constructor' },
    { t: 'call', pool: 1, call: 1 },
    { t: 'outcome', call: -1, outcome: { status: 'ok' } },
    { t: 'outcome', call: 1.5, outcome: { status: 'ok' } },
    { t: 'outcome', call: 1, outcome: { status: 'ok' }, more: false },
    { t: 'outcome', call: 1, outcome: { status: 'ok' }, x: 1 },
    { t: 'outcome', call: 1, outcome: { status: 'error', failure: { code: 'nope' } } },
    { t: 'notice', call: 1, notice: { kind: 'progress', progress: null } },
    { t: 'notice', call: 1, notice: { kind: 'log', level: 'info', message: 'x'.repeat(9000) } },
    JSON.parse('{"t":"pong","seq":3,"__proto__":{"x":1}}'),
  ];
  for (const frame of refuse) t.notOk(checkFromHost(frame), JSON.stringify(frame));
});

/** A sender and what reaches the other end of its pipe. */
function pipeline() {
  const { seen, decoder } = collect();
  const sink = new PassThrough({ highWaterMark: 100_000_000 });
  sink.on('data', (part: Buffer) => assert.equal(decoder.push(part), undefined));
  const writer: FrameWriter<object> = new FrameWriter(sink, () => sender.pump());
  const sender: BodySender<object> = new BodySender(writer as FrameWriter<object | ChunkHeader>);
  const settled = async () => {
    for (let quiet = 0, last = -1; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve));
      quiet = seen.length === last ? quiet + 1 : 0;
      last = seen.length;
    }
  };
  const bytes = (stream: string) =>
    Buffer.concat(
      seen
        .filter(
          ({ header }) =>
            (header as { stream?: string; s?: string }).stream === stream || (header as { s?: string }).s === stream,
        )
        .map(({ body }) => body),
    );
  return { seen, sender, settled, bytes };
}
const pattern = (size: number) => new Uint8Array(size).map((_, i) => (i * 31) % 251);

t.test('long bodies', async (t) => {
  await t.test('arrive whole, in turns, the last without `more`', async (t) => {
    const { seen, sender, settled, bytes } = pipeline();
    const [a, b] = [pattern(1_500_001), pattern(300_000)];
    t.ok(sender.send({ s: 'a' }, 'a', a));
    t.ok(sender.send({ s: 'b' }, 'b', b));
    t.ok(sender.send({ s: 'small' }, 'small', pattern(10)));
    await settled();
    t.ok(bytes('a').equals(a));
    t.ok(bytes('b').equals(b));
    const order = seen.map(({ header }) => (header as { s?: string; stream?: string }).s ?? (header as ChunkHeader).stream);
    t.ok(order.lastIndexOf('b') < order.lastIndexOf('a'), 'the shorter one did not wait for the longer one');
    t.ok(order.indexOf('small') <= 6, 'a small frame waits for the backlog at most');
    const last = seen.findLast(({ header }) => (header as ChunkHeader).stream === 'a')?.header as ChunkHeader;
    t.equal(last.more, undefined);
    t.ok(seen.every(({ body }) => body.length <= MAX_BODY_BYTES));
  });

  await t.test('stop at the window of the body, and go on with credit', async (t) => {
    const { sender, settled, bytes } = pipeline();
    const window = new PoolWindow();
    const body = pattern(1_000_000);
    sender.send({ s: 'a' }, 'a', body, window);
    await settled();
    t.equal(bytes('a').length, BODY_WINDOW_BYTES);
    t.equal(sender.credit('a', BODY_WINDOW_BYTES + 1), false, 'more than was sent is refused');
    while (bytes('a').length < body.length) {
      t.ok(sender.credit('a', 50_000));
      await settled();
    }
    t.ok(bytes('a').equals(body));
    t.equal(window.outstanding, body.length - Math.ceil((body.length - BODY_WINDOW_BYTES) / 50_000) * 50_000);
  });

  await t.test('of one pool share its window; another pool is not held back', async (t) => {
    const { sender, settled, bytes } = pipeline();
    const [mine, other] = [new PoolWindow(), new PoolWindow()];
    for (const stream of ['a', 'b', 'c', 'd', 'e', 'f']) sender.send({ s: stream }, stream, pattern(400_000), mine);
    sender.send({ s: 'z' }, 'z', pattern(200_000), other);
    await settled();
    const sum = ['a', 'b', 'c', 'd', 'e', 'f'].reduce((total, stream) => total + bytes(stream).length, 0);
    t.equal(sum, POOL_WINDOW_BYTES);
    t.equal(bytes('z').length, 200_000);
    sender.drop('a');
    await settled();
    t.ok(mine.outstanding <= POOL_WINDOW_BYTES, 'a dropped body gives its share back');
    t.ok(bytes('e').length + bytes('f').length > 0);
  });

  await t.test('from a source are read no faster than they go, and a broken source is told', async (t) => {
    const { seen, sender, settled, bytes } = pipeline();
    const parts = Array.from({ length: 30 }, () => pattern(40_000));
    sender.sendFrom({ s: 'a' }, 'a', Duplex.from(parts.map((part) => Buffer.from(part))));
    async function* breaking() {
      yield pattern(1000);
      throw new Error('lost');
    }
    sender.sendFrom({ s: 'b' }, 'b', breaking());
    async function* empty() {}
    sender.sendFrom({ s: 'c' }, 'c', empty());
    await settled();
    t.ok(bytes('a').equals(Buffer.concat(parts)));
    const ends = seen.filter(({ header }) => (header as ChunkHeader).stream === 'b').map(({ header }) => header);
    t.same(ends, [{ t: 'chunk', stream: 'b', lost: true }]);
    t.same(
      seen.filter(({ header }) => (header as { s?: string }).s === 'c').map(({ header }) => header),
      [{ s: 'c' }],
    );
  });

  await t.test('whose first header does not fit are refused', async (t) => {
    const { sender } = pipeline();
    t.equal(sender.send({ s: 'x'.repeat(70_000) }, 'a', pattern(100_000)), false);
    t.equal(sender.send({ s: 1n }, 'a', pattern(100_000)), false);
  });
});

t.test('bodies between threads own their buffer', async (t) => {
  const pooled = Buffer.from('abc');
  t.equal(ownBytes(pooled).buffer.byteLength, 3);
  const own = new Uint8Array([1, 2, 3]);
  t.equal(ownBytes(own), own);
  const { port1, port2 } = new MessageChannel();
  t.ok(giveBody(port1 as never, 1, own));
  const large = new Uint8Array(TRANSFER_FROM_BYTES).fill(7);
  const arrived = new Promise<unknown>((resolve) => {
    port2.onmessage = (event) => resolve(event.data);
  });
  t.equal(giveBody(port1 as never, 9, large), undefined);
  t.equal(large.byteLength, 0, 'transferred');
  t.match(await arrived, { t: 'body', call: 9 });
  port1.close();
});
