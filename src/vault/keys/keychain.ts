// The OS keychain: one item, one question, in a process of its own with a time limit.
// Not responsible for which items there are (`keychain-place`, and the CLI's tokens).
// Invariant: "absent" is what the keychain says, which it also says of a locked one on Linux: whoever asks must know what that means.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { VaultError } from '../vault-error.ts';

export const KEYCHAIN_SERVICE = 'leasehold';
/** A prompt that is open, or a service that hangs, never answers. */
export const KEYCHAIN_MS = 10_000;

export interface KeychainOrder {
  readonly act: 'get' | 'set' | 'delete';
  readonly service: string;
  readonly account: string;
  readonly value?: string;
}
export type KeychainAnswer = { readonly ok: true; readonly value?: string } | { readonly ok: false; readonly reason: string };

const CHILD = fileURLToPath(new URL(`./keychain-child${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
const ANSWER_BYTES = 65_536;
/** What a keychain of this user is found by, on Linux, macOS and Windows. */
const PASSED = [
  'DBUS_SESSION_BUS_ADDRESS',
  'DISPLAY',
  'HOME',
  'LANG',
  'LOGNAME',
  'PATH',
  'SystemRoot',
  'USER',
  'USERPROFILE',
  'WAYLAND_DISPLAY',
  'XAUTHORITY',
  'XDG_DATA_HOME',
  'XDG_RUNTIME_DIR',
];

/** The value of an item; undefined where the keychain has none, or is locked. Throws `key_unavailable`. */
export function readItem(account: string): string | undefined {
  return ask({ act: 'get', service: KEYCHAIN_SERVICE, account });
}
/** Throws `key_unavailable`, also for a locked one. */
export function writeItem(account: string, value: string): void {
  ask({ act: 'set', service: KEYCHAIN_SERVICE, account, value });
}
export function deleteItem(account: string): void {
  ask({ act: 'delete', service: KEYCHAIN_SERVICE, account });
}

function ask(order: KeychainOrder): string | undefined {
  const env = Object.fromEntries(PASSED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  const child = spawnSync(process.execPath, [CHILD], {
    input: JSON.stringify(order),
    env,
    timeout: KEYCHAIN_MS,
    killSignal: 'SIGKILL',
    maxBuffer: ANSWER_BYTES,
    encoding: 'utf8',
  });
  if ((child.error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT') {
    throw unavailable(`did not answer within ${KEYCHAIN_MS / 1000} s (is a prompt open?)`);
  }
  const answer = answerIn(child.stdout);
  if (answer === undefined) throw unavailable(`could not be asked (${child.signal ?? `exit code ${child.status}`})`);
  if (answer.ok) return answer.value;
  throw unavailable(`refused: ${reasonOf(answer.reason)}`);
}

function answerIn(text: string | null): KeychainAnswer | undefined {
  try {
    return JSON.parse(text ?? '') as KeychainAnswer;
  } catch {
    return undefined;
  }
}

/** The native texts, with what to do where they do not say it. */
function reasonOf(reason: string): string {
  if (/native addon|Cannot find (?:package|module)/i.test(reason)) {
    return 'its library is missing (Debian: apt install libsecret-1-0; and install leasehold with its optional packages)';
  }
  if (/locked/i.test(reason)) return 'it is locked. Unlock it and start again';
  if (/D-Bus|dbus|address is empty|secrets was not provided/i.test(reason)) {
    return 'no keychain service runs in this session. Use a key file or a systemd credential on a server';
  }
  return reason.slice(0, 200);
}

function unavailable(what: string): VaultError {
  return new VaultError('key_unavailable', `the keychain ${what}; nothing was created or changed`);
}
