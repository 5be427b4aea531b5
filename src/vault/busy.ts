// Tells a database that another process is writing to from one that is broken.
// Not responsible for waiting. Source: sqlite.org/rescode.html.

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;

/** Whether the same work may succeed a moment later. Nothing of it was done. */
export function isBusy(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('errcode' in cause) || typeof cause.errcode !== 'number') return false;
  // The low byte is the primary code.
  const code = cause.errcode & 0xff;
  return code === SQLITE_BUSY || code === SQLITE_LOCKED;
}
