// Bounds on the 2025 era's sessions: state that a client makes and may forget.
// Not responsible for enforcing them (`sessions`). A session without a stream costs about 5 KB.

export interface LegacyLimits {
  readonly sessionsPerTenant: number;
  readonly sessionsPerSubject: number;
  /** A session without a request or an open stream for this long is ended. */
  readonly idleMs: number;
  /** Requests of one session under way at once. */
  readonly requestsPerSession: number;
  /** Events kept for a client whose connection broke. */
  readonly eventBytesPerSession: number;
  readonly eventBytesPerTenant: number;
  /** How often the caller behind every standing stream is looked at again. */
  readonly recheckMs: number;
}

export const LEGACY_LIMITS: LegacyLimits = Object.freeze({
  sessionsPerTenant: 5000,
  sessionsPerSubject: 100,
  idleMs: 30 * 60_000,
  requestsPerSession: 256,
  eventBytesPerSession: 262_144,
  eventBytesPerTenant: 16_777_216,
  recheckMs: 2000,
});
