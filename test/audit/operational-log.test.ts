// The operator's log: what it prints, and what it cannot be made to print.
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import t from 'tap';
import { createLog, type LogStream } from '../../src/audit/operational-log.ts';
import { redact } from '../../src/audit/redact.ts';

const TOKEN = `lh_acme_${'S3cret'.repeat(7)}x`;
function sink(isTTY = false): LogStream & { text: string; last(): Record<string, unknown> } {
  return {
    isTTY,
    text: '',
    write(text) {
      this.text += text;
    },
    last() {
      return JSON.parse(this.text.trimEnd().split('\n').at(-1) as string) as Record<string, unknown>;
    },
  };
}

void t.test('lines are bunyan records; levels hold', (t) => {
  const out = sink();
  const log = createLog('info', out);
  log.debug('not this');
  log.child({ tenant: 'acme' }).info({ port: 8741 }, 'listening on %s', 'x');
  t.match(out.last(), { name: 'leasehold', level: 30, tenant: 'acme', port: 8741, msg: 'listening on x', v: 0 });
  t.equal(out.text.split('\n').length, 2);
  t.end();
});

void t.test('no token and no header, wherever it hides', (t) => {
  const out = sink();
  const log = createLog('trace', out);
  const error = new Error(`upstream refused Bearer ${TOKEN}`, { cause: new Error(`cause ${TOKEN}`) });
  Object.assign(error, { code: 'E_X', config: { headers: { authorization: TOKEN }, data: 'PAYLOAD' } });
  log.error({ err: error }, 'failed');
  t.match(out.last(), { err: { name: 'Error', code: 'E_X', cause: { message: 'cause [redacted]' } } });
  log.error(error);
  log.info(
    {
      headers: { cookie: 'PAYLOAD' },
      a: {
        b: [
          {
            authorization: 'PAYLOAD',
            refreshToken: 'PAYLOAD',
            access_token: 'PAYLOAD',
            clientSecret: 'PAYLOAD',
            'x-api-key': 'PAYLOAD',
          },
        ],
      },
    },
    'deep',
  );
  t.match(out.last(), { headers: '[redacted]', a: { b: [{ authorization: '[redacted]', refreshToken: '[redacted]' }] } });
  log.info(`in the message ${TOKEN} and Basic ${Buffer.from('user:PAYLOAD').toString('base64')}`);
  log.warn({ url: `/x?access_token=${TOKEN}`, jwt: `eyJ${'a'.repeat(20)}.${'b'.repeat(20)}.${'c'.repeat(20)}` }, 'x');
  log.info({ body: Buffer.from('PAYLOAD'), f: () => 'PAYLOAD', big: 1n, date: new Date(0) }, 'kinds');
  t.match(out.last(), { body: '[7 bytes]', big: '1', date: '1970-01-01T00:00:00.000Z' });
  const loop: Record<string, unknown> = {
    get bad(): never {
      throw new Error('PAYLOAD');
    },
  };
  loop['self'] = loop;
  log.info({ loop }, 'circular');
  log.info({ long: 'x'.repeat(1e6), wide: Array.from({ length: 1e5 }, () => 1) }, 'large');
  t.ok(JSON.stringify(out.last()).length < 20_000, 'a line is bounded');
  for (const secret of ['S3cret', 'PAYLOAD', 'bbbbbbbb', 'UEFZTE9BRA', 'VVNFUjpQQVlMT0FE'])
    t.notOk(out.text.includes(secret), secret);
  t.end();
});

void t.test('requests of Node and Fastify print method, path and peer only', async (t) => {
  const out = sink();
  const log = createLog('info', out);
  const node = createServer((req, res) => {
    log.info({ req, res }, 'node');
    res.end();
  });
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve));
  t.teardown(() => node.close());
  const fastify = Fastify();
  fastify.get('/t/:tenant', (req, reply) => {
    log.info({ req, res: reply }, 'fastify');
    return 'ok';
  });
  await fastify.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => fastify.close());
  for (const server of [node, fastify.server]) {
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => {
      request(
        {
          port,
          host: '127.0.0.1',
          path: '/t/acme?q=PAYLOAD',
          headers: { authorization: `Bearer ${TOKEN}`, 'x-api-key': 'PAYLOAD' },
        },
        (res) => res.resume().once('end', resolve),
      ).end();
    });
    t.match(out.last(), { req: { method: 'GET', path: '/t/acme' }, res: { status: 200 } });
  }
  t.notMatch(out.text, /PAYLOAD|S3cret|authorization/i);
});

void t.test('on a terminal: one readable line that cannot steer it', (t) => {
  const out = sink(true);
  const log = createLog('info', out);
  log.warn({ tenant: 'acme', token: TOKEN }, 'tool said \u001b[2J\u202edone\rX');
  t.match(out.text, /^\d\d:\d\d:\d\d\.\d{3} warn {2}tool said \?\[2J\?done\?X tenant=acme token=\[redacted\]\n$/);
  log.error({ err: new Error('why') }, 'failed');
  t.match(out.text, /failed\nError: why\n +at /);
  t.end();
});

void t.test('the tripwire leaves ordinary text alone', (t) => {
  for (const text of ['lh_acme_list issues', 'the bearer of news', 'Basic plan', 'eyJust', 'leasehold', '{"realm":"Bearer"}'])
    t.equal(redact(text), text);
  t.equal(redact(`a ${TOKEN} b`), 'a [redacted] b');
  t.end();
});
