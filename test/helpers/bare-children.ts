// Import first in every test that starts hosts or servers: the test runner puts its own NODE_OPTIONS into every child process,
// past the environment that the code under test chose, and a host may not read the modules that they name.
// Not responsible for coverage of children; there is none. Invariant: without the runner, nothing happens.
interface Harness {
  listeners: unknown[];
}
const key = Symbol.for('process-on-spawn@*:singletonId');
const harness = (globalThis as { [name: symbol]: unknown })[key] as Harness | undefined;
if (harness !== undefined) harness.listeners = [];
for (const name of Object.keys(process.env)) if (name === 'NODE_OPTIONS' || name.startsWith('_TAPJS_')) delete process.env[name];
