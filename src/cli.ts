#!/usr/bin/env node
// The entry of the command line: refuses an old Node with one clear line, then loads the rest.
// Not responsible for commands (`commands/main`).
// Invariant: no static import and only syntax that Node 12 can parse, so that the refusal is printed and not a SyntaxError.
const needed = 24;

if (Number(process.versions.node.split('.')[0]) < needed) {
  process.stderr.write(
    'leasehold needs Node.js ' +
      needed +
      ' or newer; this is ' +
      process.version +
      ' (' +
      process.execPath +
      '). ' +
      'In a clone, npm start and npm run leasehold bring their own.\n',
  );
  process.exitCode = 1;
} else {
  import('./commands/main.ts')
    .then(function run(loaded) {
      return loaded.main(process.argv.slice(2), loaded.processIo()).then(function end(code) {
        process.exitCode = code;
      });
    })
    .catch(function broken(error) {
      process.stderr.write(String((error && error.stack) || error) + '\n');
      process.exitCode = 70;
    });
}
