// How large the sources and the product of a bundle may be. Both sides of the bundler child hold to it.
// Not responsible for the limits of calls (`limits`).

const MIB = 1024 * 1024;

export const BUNDLING_LIMITS = Object.freeze({
  fileBytes: 4 * MIB,
  /** All inputs together. */
  totalBytes: 32 * MIB,
  files: 5000,
  scriptBytes: 16 * MIB,
  mapBytes: 64 * MIB,
  /** The JSON in front of script and map. */
  headerBytes: 8 * MIB,
  problems: 50,
});
