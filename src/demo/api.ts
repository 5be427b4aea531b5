// A small HTTP API with fixed data, so that the demo estate has a real service to call without the internet.
// Not responsible for anything of Leasehold: it is "the service behind the tool", and plain node:http on purpose.
// Invariant: the same request gives the same answer; nothing is written to disk; at most 1000 notes are kept.
//
//   GET  /cities                         -> { cities: [{ name, country }] }
//   GET  /cities/{city}/weather?unit=    -> { city, country, temperature, unit: "celsius" | "fahrenheit", conditions, windKmh }
//   GET  /rates/{base}?symbols=USD,JPY   -> { base, date, rates: { USD: 1.0843, … } }    (symbols may also be repeated)
//   GET  /notes                          -> { notes: [{ id, text, tags }] }
//   POST /notes  { text, tags? }         -> 201 { id, text, tags }                       (unsafe: every POST makes one more)
//   POST /graphql                       -> GraphQL: city(name), cities
//   POST /rpc                           -> JSON-RPC 2.0: exchange { amount, from, to }
//   an unknown city, currency or path    -> 404 { error: { code, message } };  wrong input -> 422, wrong method -> 405
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CITIES, PER_EURO, rateOf } from './api-data.ts';
import { answerGraphql } from './graphql-api.ts';
import { answerRpc } from './rpc-api.ts';

const BODY_BYTES = 65_536;
const NOTES = 1000;

interface Note {
  readonly id: number;
  readonly text: string;
  readonly tags: readonly string[];
}
interface Answer {
  readonly status: number;
  readonly body: unknown;
}

function refused(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}

function weather(city: string, unit: string): Answer {
  const found = Object.hasOwn(CITIES, city.toLowerCase()) ? CITIES[city.toLowerCase()] : undefined;
  if (found === undefined) return refused(404, 'city_unknown', `There is no city ${JSON.stringify(city)}.`);
  if (unit !== 'celsius' && unit !== 'fahrenheit') return refused(422, 'unit_unknown', 'unit is celsius or fahrenheit.');
  const { name, country, celsius, conditions, windKmh } = found;
  const temperature = unit === 'celsius' ? celsius : Math.round((celsius * 1.8 + 32) * 10) / 10;
  return { status: 200, body: { city: name, country, temperature, unit, conditions, windKmh } };
}

function rates(base: string, symbols: readonly string[]): Answer {
  const wanted = symbols.length === 0 ? Object.keys(PER_EURO).filter((symbol) => symbol !== base) : symbols;
  const unknown = [base, ...wanted].find((symbol) => !Object.hasOwn(PER_EURO, symbol));
  if (unknown !== undefined) return refused(404, 'currency_unknown', `There is no currency ${JSON.stringify(unknown)}.`);
  return {
    status: 200,
    body: { base, date: '2026-01-02', rates: Object.fromEntries(wanted.map((symbol) => [symbol, rateOf(base, symbol)])) },
  };
}

function addNote(notes: Note[], body: unknown): Answer {
  const { text, tags = [] } = (body ?? {}) as { text?: unknown; tags?: unknown };
  if (typeof text !== 'string' || text === '') return refused(422, 'text_missing', 'text must be a string that is not empty.');
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) {
    return refused(422, 'tags_invalid', 'tags must be an array of strings.');
  }
  const note: Note = { id: (notes.at(-1)?.id ?? 0) + 1, text, tags };
  notes.push(note);
  if (notes.length > NOTES) notes.shift();
  return { status: 201, body: note };
}

async function answer(notes: Note[], method: string, url: URL, body: unknown): Promise<Answer> {
  const [first = '', second, third] = url.pathname.slice(1).split('/').map(decodeURIComponent);
  const route = third === undefined ? `${first}${second === undefined ? '' : '/{}'}` : `${first}/{}/${third}`;
  if (route === 'notes' && method === 'POST') return addNote(notes, body);
  if (route === 'graphql' && method === 'POST') return { status: 200, body: await answerGraphql(body) };
  if (route === 'rpc' && method === 'POST') return { status: 200, body: answerRpc(body) };
  if (method !== 'GET') return refused(405, 'method_not_allowed', `${method} is not allowed here.`);
  switch (route) {
    case 'cities':
      return { status: 200, body: { cities: Object.values(CITIES).map(({ name, country }) => ({ name, country })) } };
    case 'cities/{}/weather':
      return weather(second ?? '', url.searchParams.get('unit') ?? 'celsius');
    case 'rates/{}':
      return rates(
        second ?? '',
        url.searchParams.getAll('symbols').flatMap((list) => list.split(',').filter(Boolean)),
      );
    case 'notes':
      return { status: 200, body: { notes } };
    default:
      return refused(404, 'not_found', 'There is nothing here.');
  }
}

/** The body as JSON; undefined where there is none or it is none. Stops reading at the limit. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > BODY_BYTES) return undefined;
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString()) as unknown;
  } catch {
    return undefined;
  }
}

async function serve(notes: Note[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  let result: Answer;
  try {
    const body = request.method === 'POST' ? await readJson(request) : undefined;
    result = await answer(notes, request.method ?? 'GET', new URL(request.url ?? '/', 'http://demo.invalid'), body);
  } catch {
    result = refused(400, 'request_invalid', 'The request could not be read.');
  }
  const text = JSON.stringify(result.body);
  response.writeHead(result.status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
}

/** Serves on 127.0.0.1; `port` 0 takes a free one. `close` ends open connections too. Rejects where the port is taken. */
export async function startDemoApi(port: number): Promise<{ url: string; close(): Promise<void> }> {
  const notes: Note[] = [];
  const server = createServer((request, response) => void serve(notes, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
