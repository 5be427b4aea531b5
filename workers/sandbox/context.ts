// The `ctx` of one call: everything a handler can know and ask, made member by member when first touched.
// Not responsible for deciding anything: each operation is a request that the supervisor answers by its own copy of the call.
// Invariant: every function in here works without `this`, and nothing in here leads to the run, the port or another call.
import type { Connection, Log, Need, Store, ToolContext } from '../../src/author/context.ts';
import { type Asking, createAsking } from './asking.ts';
import type { CallRun } from './call-run.ts';
import { type Ask, createConnection } from './connection.ts';
import { createProgress, createUpdated } from './log.ts';
import { nestedValue } from './nested.ts';
import { createStore } from './store.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The run behind a context. Not a static method: `ctx.constructor` is reachable, this is not. */
export let runOf: (context: unknown) => CallRun | undefined;

export class Context implements ToolContext<Record<string, Need>> {
  readonly #run: CallRun;
  #progress: ToolContext['progress'] | undefined;
  #updated: ToolContext['notifyResourceUpdated'] | undefined;
  #call: ToolContext['call'] | undefined;
  #asking: Asking | undefined;
  #connections: Record<string, Connection> | undefined;
  #store: ToolContext['store'] | undefined;

  static {
    runOf = (context) =>
      typeof context === 'object' && context !== null && #run in context ? (context as Context).#run : undefined;
  }

  constructor(run: CallRun) {
    this.#run = run;
  }

  get tenant(): string {
    return this.#run.context.tenant;
  }
  get subject(): string {
    return this.#run.context.subject;
  }
  get scopes(): readonly string[] {
    return Object.freeze(this.#run.context.scopes);
  }
  get client(): ToolContext['client'] {
    return this.#run.context.client;
  }
  get vars(): ToolContext['vars'] {
    return this.#run.bundle.vars as ToolContext['vars'];
  }
  get requestId(): string {
    return this.#run.context.requestId;
  }
  get deadline(): number {
    return this.#run.context.deadline;
  }
  get signal(): AbortSignal {
    return this.#run.signal;
  }

  get connections(): Record<string, Connection> {
    if (this.#connections === undefined) {
      const slots = Object.keys(this.#run.target.connections);
      const { resultBytes } = this.#run.limits;
      this.#connections = Object.freeze(
        Object.fromEntries(slots.map((slot) => [slot, createConnection(slot, this.#ask, resultBytes)])),
      );
    }
    return this.#connections;
  }

  get store(): { readonly tenant: Store; readonly subject: Store } {
    this.#store ??= Object.freeze({ tenant: createStore('tenant', this.#ask), subject: createStore('subject', this.#ask) });
    return this.#store;
  }

  get log(): Log {
    return this.#run.logs.log;
  }

  get progress(): ToolContext['progress'] {
    this.#progress ??= createProgress((notice) => this.#run.tell(notice), this.#run.limits.progressPerCall);
    return this.#progress;
  }

  get notifyResourceUpdated(): ToolContext['notifyResourceUpdated'] {
    this.#updated ??= createUpdated((notice) => this.#run.tell(notice));
    return this.#updated;
  }

  get call(): ToolContext['call'] {
    this.#call ??= nestedCall(this.#run, this.#ask);
    return this.#call;
  }

  get elicit(): ToolContext['elicit'] {
    return this.#questions.elicit;
  }
  get sample(): ToolContext['sample'] {
    return this.#questions.sample;
  }
  get roots(): ToolContext['roots'] {
    return this.#questions.roots;
  }

  get #questions(): Asking {
    this.#asking ??= createAsking(this.#ask);
    return this.#asking;
  }

  get #ask(): Ask {
    return (request, body) => this.#run.ask(request, body);
  }
}
Object.freeze(Context.prototype);

function nestedCall({ bundle }: CallRun, ask: Ask): ToolContext['call'] {
  return async (tool: unknown, args: object): Promise<never> => {
    const name = typeof tool === 'string' ? tool : bundle.defined(tool)?.name;
    if (name === undefined) throw new TypeError('ctx.call: the tool is in no toolset of this tenant; add it to defineToolset().');
    const text = JSON.stringify(args ?? {}) as string | undefined;
    if (text === undefined) throw new TypeError('ctx.call: the arguments must be a JSON object.');
    const { body } = await ask({ op: 'call', tool: name }, encoder.encode(text));
    return nestedValue(decoder.decode(body)) as never;
  };
}
