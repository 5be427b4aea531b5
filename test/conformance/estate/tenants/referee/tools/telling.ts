// Tools that tell something before they answer: log messages and progress.
import { defineTool, defineToolset } from 'leasehold';

const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

const test_tool_with_logging = defineTool({
  description: 'Logs three lines',
  async handler(_args, { log }) {
    log.info('Tool execution started');
    await pause();
    log.info('Tool processing data');
    await pause();
    log.info('Tool execution completed');
    return 'Tool with logging executed successfully';
  },
});
const test_logging_tool = defineTool({
  description: 'Logs a line',
  handler(_args, { log }) {
    log.info('A line of the log');
    return 'Logged';
  },
});
const test_tool_with_progress = defineTool({
  description: 'Tells its progress three times',
  async handler(_args, ctx) {
    for (const done of [0, 50, 100]) {
      ctx.progress({ progress: done, total: 100, message: `Completed step ${done} of 100` });
      await pause();
    }
    return 'Done';
  },
});
const test_reconnection = defineTool({
  description: 'Takes long enough for a client to lose its connection',
  async handler(_args, { log }) {
    log.info('Waiting');
    await pause();
    await pause();
    return 'Reconnection test completed successfully';
  },
});

export default defineToolset({
  tools: { test_tool_with_logging, test_logging_tool, test_tool_with_progress, test_reconnection },
});
