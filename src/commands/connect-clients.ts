// The desktop clients: where each keeps its MCP servers, and how an entry of it looks.
// Not responsible for writing files. Pure. Sources: the clients' own documentation (VS Code "MCP configuration reference", Claude
// Code and Claude Desktop "Connect to local MCP servers", Cursor "Model Context Protocol").
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { JsonObject } from '../shared/json.ts';

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface DesktopClient {
  readonly title: string;
  /** The user's own file, not that of a project. */
  file(machine: Machine): string;
  /** The member of that file that holds servers by name. */
  readonly servers: string;
  /** Absent: it starts servers itself and speaks stdio only. */
  readonly http?: (url: string, token: string) => JsonObject;
  stdio(command: string, args: readonly string[], env: Readonly<Record<string, string>>): JsonObject;
  /** What makes it read the file. */
  readonly next: string;
}

/** All members that an entry of ours can have. */
export const ENTRY_MEMBERS: readonly string[] = ['type', 'url', 'headers', 'command', 'args', 'env'];

const bearer = (token: string): JsonObject => ({ Authorization: `Bearer ${token}` });
const started: DesktopClient['stdio'] = (command, args, env) => ({
  command,
  args: [...args],
  ...(Object.keys(env).length === 0 ? {} : { env: { ...env } }),
});
const startedTyped: DesktopClient['stdio'] = (...entry) => ({ type: 'stdio', ...started(...entry) });
const typedHttp = (url: string, token: string): JsonObject => ({ type: 'http', url, headers: bearer(token) });

export const DESKTOP_CLIENTS: { readonly [name: string]: DesktopClient } = {
  vscode: {
    title: 'VS Code',
    file: (machine) => join(applicationData(machine), 'Code', 'User', 'mcp.json'),
    servers: 'servers',
    http: typedHttp,
    stdio: startedTyped,
    next: 'In VS Code run "MCP: List Servers" and start it (or restart VS Code).',
  },
  'claude-code': {
    title: 'Claude Code',
    file: ({ env }) => join(absolute(env['CLAUDE_CONFIG_DIR']) ?? homedir(), '.claude.json'),
    servers: 'mcpServers',
    http: typedHttp,
    stdio: startedTyped,
    next: 'Restart Claude Code; /mcp shows the server.',
  },
  'claude-desktop': {
    title: 'Claude Desktop',
    file: (machine) => join(applicationData(machine), 'Claude', 'claude_desktop_config.json'),
    servers: 'mcpServers',
    stdio: started,
    next: 'Quit Claude Desktop (not only its window) and start it again.',
  },
  cursor: {
    title: 'Cursor',
    file: () => join(homedir(), '.cursor', 'mcp.json'),
    servers: 'mcpServers',
    http: (url, token) => ({ url, headers: bearer(token) }),
    stdio: started,
    next: 'Restart Cursor; its MCP settings show the server.',
  },
};

function applicationData({ platform, env }: Machine): string {
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support');
  if (platform === 'win32') return absolute(env['APPDATA']) ?? join(homedir(), 'AppData', 'Roaming');
  return absolute(env['XDG_CONFIG_HOME']) ?? join(homedir(), '.config');
}

function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
