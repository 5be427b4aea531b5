// The tools that the benchmark calls; the peers have `echo` and `sized` with the same schemas.
import { defineTool, defineToolset, Type } from 'leasehold';

const fill = new Map<number, string>();

const echo = defineTool({
  description: 'Give back the text',
  inputSchema: Type.Object({ text: Type.String() }),
  handler: ({ text }) => text,
});

const sized = defineTool({
  description: 'A text of the given size',
  inputSchema: Type.Object({ bytes: Type.Integer({ minimum: 0, maximum: 8_000_000 }) }),
  handler({ bytes }) {
    const known = fill.get(bytes) ?? 'x'.repeat(bytes);
    fill.set(bytes, known);
    return known;
  },
});

const crash = defineTool({
  description: 'Ends its own thread with an error that nothing catches',
  handler: () =>
    new Promise<string>(() => {
      setTimeout(() => {
        throw new Error('on purpose');
      });
    }),
});

export default defineToolset({ tools: { echo, sized, crash } });
