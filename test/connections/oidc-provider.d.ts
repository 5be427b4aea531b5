// The few parts of oidc-provider that tests use; it ships no types.
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http';
  interface Stored {
    destroy(): Promise<void>;
  }
  export default class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>);
    callback(): RequestListener;
    on(event: string, listener: (...args: unknown[]) => void): this;
    readonly AccessToken: { find(value: string): Promise<Stored | undefined> };
    readonly RefreshToken: { find(value: string): Promise<(Stored & { readonly consumed?: unknown }) | undefined> };
  }
}
