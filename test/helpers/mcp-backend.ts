// The seam of the protocol tests: a backend that runs its tools in the test's own process, for two tenants.
// Not responsible for any limit or audit. Invariant: settles each call once, as the port demands; says which calls were cancelled.
import { failure } from '../../src/shared/errors.ts';
import type { Principal } from '../../src/auth/principal.ts';
import type { CallOutcome } from '../../src/boundary/outcome.ts';
import type { McpBackend, ResultBody, OperationCall, OperationResult, ToolsetView } from '../../src/mcp/ports.ts';

function tool(name: string, properties: object, required: string[] = []) {
  const inputSchema = { type: 'object', properties, required };
  return { name, inputSchema, scopes: [], listing: JSON.stringify({ name, description: `Tool ${name}`, inputSchema }) };
}

const TOOLS = [
  tool('big', { kib: { type: 'integer' } }),
  tool('echo', { text: { type: 'string' } }, ['text']),
  tool('fails', {}),
  tool('garbage', { body: { type: 'string' }, stream: { type: 'boolean' } }),
  tool('steps', { count: { type: 'integer' } }),
  tool('wait', {}),
  tool('whoami', {}),
].toSorted((a, b) => (a.name < b.name ? -1 : 1));

const NOTHING_ELSE = { prompts: [], resources: [], has: { prompts: false, resources: false, completions: false } };

export class TestBackend implements McpBackend {
  readonly calls: OperationCall[] = [];
  /** Names of tools whose call was cancelled. */
  readonly cancelled: string[] = [];
  /** Streamed bodies that were given up. */
  givenUp = 0;
  #views = new Map<string, ToolsetView>();
  readonly #gate = Promise.withResolvers<void>();
  #watchers: (() => void)[] = [];

  /** Lets the calls of `gate` end. */
  release(): void {
    this.#gate.resolve();
  }

  toolset(caller: Principal): ToolsetView | undefined {
    let view = this.#views.get(caller.tenant);
    if (view === undefined) {
      view = { ...NOTHING_ELSE, hash: `hash-${caller.tenant}`, instructions: `Tools of ${caller.tenant}.`, tools: TOOLS };
      this.#views.set(caller.tenant, view);
    }
    return view;
  }

  tool(caller: Principal, name: string): ToolsetView['tools'][number] | undefined {
    return this.toolset(caller)?.tools.find((one) => one.name === name);
  }

  readable(_caller: Principal, uri: string): boolean {
    return uri.startsWith('test://');
  }

  setTools(tenant: string, tools: ToolsetView['tools'], hash = `hash-${tenant}-${tools.length}`): void {
    this.#views.set(tenant, { ...NOTHING_ELSE, hash, instructions: undefined, tools });
  }

  static many(count: number): ToolsetView['tools'] {
    return Array.from({ length: count }, (_, i) => tool(`tool-${String(i).padStart(5, '0')}`, {}));
  }

  /** Resolves once `done` holds; looks again whenever something happened here. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  #happened(): void {
    for (const wake of this.#watchers.splice(0)) wake();
  }

  async operate(call: OperationCall): Promise<OperationResult> {
    this.calls.push(call);
    this.#happened();
    const args = JSON.parse(Buffer.from(call.args).toString()) as Record<string, unknown>;
    switch (call.asked.name) {
      case 'echo':
        if (typeof args['text'] !== 'string') return failed('arguments_invalid', { path: '/text', reason: 'is required' });
        return ok({ content: [{ type: 'text', text: args['text'] }] });
      case 'whoami': {
        const { principal, client, correlation, traceparent } = call.caller;
        const { tenant, subject } = principal;
        return ok({ content: [{ type: 'text', text: JSON.stringify({ tenant, subject, client, correlation, traceparent }) }] });
      }
      case 'steps': {
        const count = Number(args['count'] ?? 3);
        for (let i = 1; i <= count; i += 1) {
          call.progress?.({ progress: i, total: count, message: `step\n${i}` });
          await new Promise((resolve) => setImmediate(resolve));
        }
        return ok({ content: [{ type: 'text', text: `${count} steps` }] });
      }
      case 'gate':
        call.progress?.({ progress: 1 });
        await this.#gate.promise;
        return ok({ content: [] });
      case 'wait':
        call.progress?.({ progress: 0.5 });
        await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve(), { once: true }));
        this.cancelled.push(call.asked.name);
        this.#happened();
        return failed('cancelled');
      case 'fails':
        return failed('tool_failed', { detail: 'a secret stack' });
      case 'big':
        if (call.progress !== undefined) call.progress({ progress: 1 });
        return { outcome: { status: 'ok' }, body: this.#big(Number(args['kib'] ?? 1024)) };
      case 'flood':
        for (let i = 1; i <= 10_000; i += 1) call.progress?.({ progress: i, message: 'x'.repeat(4000) });
        return ok({ content: [{ type: 'text', text: 'flooded' }] });
      case 'stuck':
        return { outcome: { status: 'ok' }, body: this.#stuck() };
      case 'garbage': {
        const bytes = Buffer.from(String(args['body']));
        if (call.progress !== undefined) call.progress({ progress: 1 });
        return { outcome: { status: 'ok', meta: META }, body: args['stream'] === true ? chunked(bytes) : bytes };
      }
      case 'scoped':
        return failed('scope_insufficient', { data: { scopes: ['issues:write'] } });
      case 'throws':
        throw new Error('a secret message');
      default:
        return failed('tool_unknown');
    }
  }

  /** Begins, and then nothing comes until it is given up. */
  #stuck(): ResultBody {
    const { promise, resolve } = Promise.withResolvers<void>();
    return {
      cancel: () => {
        this.givenUp += 1;
        resolve();
        this.#happened();
      },
      async *[Symbol.asyncIterator]() {
        yield Buffer.from('{"content":[');
        await promise;
      },
    };
  }

  #big(kib: number): ResultBody {
    const chunk = Buffer.alloc(1024, 'x');
    let stopped = false;
    const give = (): void => {
      if (!stopped) this.givenUp += 1;
      stopped = true;
      this.#happened();
    };
    return {
      cancel: give,
      async *[Symbol.asyncIterator]() {
        yield Buffer.from('{"content":[{"type":"text","text":"');
        for (let i = 0; i < kib && !stopped; i += 1) yield chunk;
        yield Buffer.from('"}]}');
        stopped = true;
      },
    };
  }
}

/** What an author may set, and what not. */
const META = { 'example.com/mine': 1, 'io.modelcontextprotocol/serverInfo': { name: 'evil' }, 'leasehold/error': { code: 'x' } };

function ok(result: unknown): OperationResult {
  return { outcome: { status: 'ok' }, body: Buffer.from(JSON.stringify(result)) };
}
function failed(code: Parameters<typeof failure>[0], more: Parameters<typeof failure>[1] = {}): OperationResult {
  const outcome: CallOutcome = { status: 'error', failure: failure(code, more) };
  return { outcome };
}
/** One byte at a time, with an empty chunk in front. */
function chunked(bytes: Buffer): ResultBody {
  return {
    cancel: () => {},
    async *[Symbol.asyncIterator]() {
      yield new Uint8Array(0);
      for (const byte of bytes) yield Uint8Array.of(byte);
    },
  };
}
