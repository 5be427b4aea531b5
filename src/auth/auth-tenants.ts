// What a token must be good for, per tenant: its configuration and its addresses, made once per configuration.
// Not responsible for which tenants there are. Invariant: a changed configuration is another object, so that nothing which was proved
// for the old one counts for the new one.
import type { CompiledTenant } from '../config/compiled.ts';
import type { CompiledAuth } from '../config/compiled-auth.ts';
import type { Resources } from './resource.ts';
import type { AuthTenant } from './verdict.ts';

export interface AuthTenantsOptions {
  readonly configOf: (id: string) => Pick<CompiledTenant, 'id' | 'auth'> | undefined;
  readonly defaults: CompiledAuth;
  /** Known once the server listens. */
  readonly resources: () => Resources;
}

export class AuthTenants {
  readonly #options: AuthTenantsOptions;
  readonly #known = new WeakMap<object, AuthTenant>();

  constructor(options: AuthTenantsOptions) {
    this.#options = options;
  }

  get(id: string): AuthTenant | undefined {
    const config = this.#options.configOf(id);
    if (config === undefined) return undefined;
    let known = this.#known.get(config);
    if (known === undefined) this.#known.set(config, (known = this.#make(id, config.auth)));
    return known;
  }

  /** As if it were there and said nothing of its own, where it is not. */
  orDefault(id: string): AuthTenant {
    return this.get(id) ?? this.#make(id, this.#options.defaults);
  }

  #make(id: string, auth: CompiledAuth): AuthTenant {
    const resources = this.#options.resources();
    return {
      id,
      auth,
      resources: resources.of(id),
      sharedResource: resources.shared,
      isForeignResource: (uri) => {
        const other = resources.tenantOf(uri);
        return other !== undefined && other !== id;
      },
    };
  }
}
