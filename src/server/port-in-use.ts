// Who holds the port that we wanted: asked over HTTP, so that the start's message can name another server of ours.
// Not responsible for the message (the CLI). Invariant: takes at most a second, and believes nothing but plain facts of bounded size.

const ASK_MS = 1000;
const ANSWER_BYTES = 16_384;

export interface PortHolder {
  readonly version?: string;
  readonly pid?: number;
  readonly estate?: string;
}

export class PortInUse extends Error {
  readonly port: number;
  /** Defined where the holder says it is a server of ours. */
  readonly holder: PortHolder | undefined;

  constructor(port: number, holder: PortHolder | undefined) {
    super(`port ${port} is in use`);
    this.name = 'PortInUse';
    this.port = port;
    this.holder = holder;
  }
}

export async function askHolder(host: string, port: number): Promise<PortHolder | undefined> {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  try {
    const response = await fetch(`http://${local}:${port}/version`, { signal: AbortSignal.timeout(ASK_MS), redirect: 'error' });
    return factsIn(JSON.parse(await bounded(response)));
  } catch {
    return undefined;
  }
}

async function bounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > ANSWER_BYTES) throw new Error('too long for an answer of ours');
  }
  return text;
}

function factsIn(answer: unknown): PortHolder | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { name, version, pid, estate } = answer as Record<string, unknown>;
  if (name !== 'leasehold') return undefined;
  return {
    ...(typeof version === 'string' ? { version } : {}),
    ...(typeof pid === 'number' ? { pid } : {}),
    ...(typeof estate === 'string' ? { estate } : {}),
  };
}
