#!/usr/bin/env node
// The installed command. It imports nothing at first and parses on any Node, so that an old one is
// named as the reason and not met as a syntax error deep inside.
const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(
    `millrace needs Node 24 or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      'Install it from https://nodejs.org, or run: npx --package=node@24 --package=millrace millrace\n',
  );
  process.exitCode = 3;
} else {
  await import('./main.ts');
}
