// The commands: name, summary, and where the rest of each one is.
// Not responsible for running them. A command's file is loaded only when that command is meant, so help stays fast.
// Invariant: name and summary are the command's own (a test compares them).
import type { Command } from './command.ts';

export interface TableEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}

export const table: readonly TableEntry[] = [
  { name: 'demo', summary: 'serve two example tenants', load: async () => (await import('./demo.ts')).demo },
  { name: 'start', summary: 'serve an estate', load: async () => (await import('./start.ts')).start },
  {
    name: 'init',
    summary: 'make a new estate with one tenant and one tool',
    load: async () => (await import('./init.ts')).init,
  },
  { name: 'check', summary: 'find what is wrong with an estate', load: async () => (await import('./check.ts')).check },
  {
    name: 'doctor',
    summary: 'show which walls stand on this machine, and which are missing',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  {
    name: 'dev',
    summary: 'serve an estate and show what every change and call does',
    load: async () => (await import('./dev.ts')).dev,
  },
  { name: 'call', summary: 'call a tool of a running server', load: async () => (await import('./call.ts')).call },
  {
    name: 'connect',
    summary: "make a desktop client's configuration entry for a tenant",
    load: async () => (await import('./connect.ts')).connect,
  },
  {
    name: 'stdio',
    summary: 'serve a tenant to a client that speaks only stdio',
    load: async () => (await import('./stdio.ts')).stdio,
  },
  { name: 'logs', summary: 'show what the tools of a tenant logged', load: async () => (await import('./logs.ts')).logs },
  {
    name: 'tenant',
    summary: 'add, list and remove tenants',
    load: async () => (await import('./tenant.ts')).tenant,
  },
  { name: 'token', summary: 'create, list and revoke bearer tokens', load: async () => (await import('./token.ts')).token },
  {
    name: 'user',
    summary: 'who signs in here, and which tenants they may use',
    load: async () => (await import('./user.ts')).user,
  },
  {
    name: 'client',
    summary: 'list and remove the applications that people let in',
    load: async () => (await import('./client.ts')).client,
  },
  {
    name: 'consent',
    summary: 'list what a person allowed applications, and take it back',
    load: async () => (await import('./consent.ts')).consent,
  },
  {
    name: 'secret',
    summary: 'set, list and delete the secrets of connections',
    load: async () => (await import('./secret.ts')).secret,
  },
  {
    name: 'connection',
    summary: 'add, connect, list and revoke the connections of a tenant',
    load: async () => (await import('./connection.ts')).connection,
  },
  {
    name: 'vault',
    summary: 'change the master key, and check that everything sealed opens',
    load: async () => (await import('./vault.ts')).vault,
  },
  { name: 'audit', summary: 'check that the audit trail was not changed', load: async () => (await import('./audit.ts')).audit },
  {
    name: 'chaos',
    summary: 'let one tenant misbehave and measure its neighbour',
    load: async () => (await import('./chaos.ts')).chaos,
  },
  { name: 'version', summary: 'show the versions in use', load: async () => (await import('./version.ts')).version },
];

export async function findCommand(name: string): Promise<Command | undefined> {
  return table.find((entry) => entry.name === name)?.load();
}
