// What a well-behaved tenant does all day.
import { defineTool, defineToolset, Type } from 'leasehold';

const echo = defineTool({
  description: 'Say it again',
  inputSchema: Type.Object({ text: Type.String() }),
  annotations: { readOnlyHint: true },
  handler: ({ text }) => text,
});

export default defineToolset({ tools: { echo } });
