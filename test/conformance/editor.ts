// The service behind the connection `editor` of the referee's tenant: it changes that tenant's own files, as an author would.
// Not responsible for what the server makes of it. Invariant: writes one file per kind of list, below the tenant's `tools/`.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface Editor {
  readonly origin: string;
  close(): Promise<void>;
}

function source(what: string, round: number): string {
  if (what === 'tools') {
    return `import { defineTool, defineToolset } from 'leasehold';
const tool = defineTool({ description: 'Came while the server ran', handler: () => 'new' });
export default defineToolset({ tools: { added_${round}: tool } });
`;
  }
  return `import { definePrompt, defineToolset } from 'leasehold';
const prompt = definePrompt({ description: 'Came while the server ran', handler: () => 'new' });
export default defineToolset({ prompts: { added_${round}: prompt } });
`;
}

/** `toolsDir` is known once the estate is copied, which needs the origin first. */
export async function startEditor(toolsDir: () => string): Promise<Editor> {
  let round = 0;
  const server = createServer((request, response) => {
    const what = /^\/change\/(tools|prompts)$/.exec(request.url ?? '')?.[1];
    request.resume();
    request.on('end', () => {
      if (what !== undefined) {
        round += 1;
        writeFileSync(join(toolsDir(), `added-${what}.ts`), source(what, round));
      }
      response.writeHead(what === undefined ? 404 : 204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}
