// One tool of a tenant that asks clients for no scope.
import { defineTool, defineToolset } from 'leasehold';

const test_simple_text = defineTool({ description: 'Text', handler: () => 'This is a simple text response for testing.' });

export default defineToolset({ tools: { test_simple_text } });
