// Tools that have the tenant's own files changed, by a service of the referee's run: the toolset is swapped while it serves.
import { defineTool, defineToolset } from 'leasehold';

const change = (what: 'tools' | 'prompts') =>
  defineTool({
    description: `Has the list of ${what} changed`,
    connections: { editor: {} },
    async handler(_args, { connections }) {
      await connections.editor.fetch(`/change/${what}`, { method: 'POST' });
      return `The ${what} change`;
    },
  });

export default defineToolset({
  tools: { test_trigger_tool_change: change('tools'), test_trigger_prompt_change: change('prompts') },
});
