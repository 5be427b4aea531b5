// A tool that asks for a scope of its own: whoever lacks it is challenged to get it.
import { defineTool, defineToolset } from 'leasehold';

const test_scoped = defineTool({ description: 'Needs a scope', scopes: ['referee:write'], handler: () => 'allowed' });

export default defineToolset({ tools: { test_scoped } });
