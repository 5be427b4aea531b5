// The authorization server while it runs: loaded when it is first needed, made anew with its keys; interactions and sessions of browsers.
// Not responsible for what a person decides (`login-server`) or for what the protocol says (`provider`).
// Invariant: an interaction is found by the cookies of its browser, or by an id that was kept with them; what was decided at it says in
// which browser; one browser has one person signed in: whoever comes second ends the session of the first.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Interaction, Provider, SessionModel } from 'oidc-provider';
import type { RequestFacts } from './events.ts';
import type { MadeProvider, ProviderOptions } from './provider.ts';
import type { Subjects } from './subjects.ts';

export interface RunningProviderOptions extends Omit<ProviderOptions, 'issuer' | 'interactionUrl' | 'userExists'> {
  /** Public URL of the server, without a trailing slash; known once it listens. */
  readonly issuer: () => string;
  readonly subjects: Subjects;
}

/** One request of a browser, as Node has it, and what the edge found out about it. */
export interface Exchange extends RequestFacts {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}
type Raw = Pick<Exchange, 'request' | 'response'>;

interface Running extends MadeProvider {
  readonly callback: ReturnType<Provider['callback']>;
}

export class RunningProvider {
  readonly #options: RunningProviderOptions;
  #running: Promise<Running> | undefined;

  constructor(options: RunningProviderOptions) {
    this.#options = options;
  }

  async get(): Promise<Provider> {
    return (await this.#run()).provider;
  }

  /** Takes requests for the endpoints of the protocol. */
  async callback(): Promise<Running['callback']> {
    return (await this.#run()).callback;
  }

  /** That of this browser, where it is the named one. */
  async interaction({ request, response }: Raw, uid: string): Promise<Interaction | undefined> {
    const provider = await this.get();
    try {
      const found = await provider.interactionDetails(request, response);
      return found.uid === uid ? found : undefined;
    } catch (error) {
      if (error instanceof Error && error.name === 'SessionNotFound') return undefined;
      throw error;
    }
  }

  /** For a path at which the browser does not show its cookie of the interaction. */
  async interactionOf(uid: string): Promise<Interaction | undefined> {
    const provider = await this.get();
    return provider.Interaction.find(uid);
  }

  async session({ request, response }: Raw): Promise<SessionModel> {
    const provider = await this.get();
    return provider.Session.get(provider.createContext(request, response));
  }

  /** Gives the address at which the browser goes on. */
  async go({ request, response, browser }: Exchange, result: Record<string, unknown>, merge: boolean): Promise<string> {
    const provider = await this.get();
    return provider.interactionResult(request, response, { ...result, browser }, { mergeWithLastSubmission: merge });
  }

  /** The same, after somebody proved who they are. */
  async signedIn(exchange: Exchange, interaction: Interaction, accountId: string): Promise<string> {
    const session = await this.session(exchange);
    if (session.accountId !== undefined && session.accountId !== accountId) {
      await session.destroy();
      interaction.session = undefined;
    }
    interaction.result = { login: { accountId, remember: false }, browser: exchange.browser };
    await interaction.save(interaction.exp - Math.floor(this.#options.now() / 1000));
    return interaction.returnTo;
  }

  async #run(): Promise<Running> {
    const running = await this.#running;
    if (running !== undefined && this.#options.now() < running.until) return running;
    const starting = this.#start();
    this.#running = starting;
    starting.catch(() => (this.#running = undefined));
    return starting;
  }

  async #start(): Promise<Running> {
    const { makeProvider } = await import('./provider.ts');
    const { issuer, subjects } = this.#options;
    const { provider, until } = makeProvider({
      ...this.#options,
      issuer: issuer(),
      interactionUrl: (uid) => `${issuer()}/sign-in/${uid}`,
      userExists: (subject) => subjects.exists(subject),
    });
    return { provider, callback: provider.callback(), until };
  }
}
