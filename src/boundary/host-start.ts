// What a host process is started with: one JSON argument on its command line.
// Not responsible for anything of a tenant: limits, assignments and bodies come as frames.
// Invariant: no secret; it stands in the process list.
import type { NetSettings } from '../shared/net/net-settings.ts';
import type { PoolKind } from './thread-messages.ts';

export interface HostStart {
  readonly kind: PoolKind;
  /** Absolute path of the module that every thread runs. */
  readonly threadEntry: string;
  /** Flags of every thread; they replace those of the process. */
  readonly threadExecArgv: readonly string[];
  /** The threads run one tenant's code with the rights of this host, without a sandbox; packages are looked up from this folder. */
  readonly modules?: string;
  /** Egress: how the outside is reached. */
  readonly net?: NetSettings;
}

/** The pipe to the supervisor, in the host. */
export const CHANNEL_FD = 3;
