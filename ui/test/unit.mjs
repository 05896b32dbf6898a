// Runs test/unit/*.test.ts: bundled by esbuild (node 18 reads no TypeScript), then node's own runner.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('./unit/', import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'fanal-ui-unit-'));
const tests = readdirSync(here).filter((name) => name.endsWith('.test.ts'));

await build({
  entryPoints: tests.map((name) => join(here, name)), outdir: out, outExtension: { '.js': '.mjs' },
  bundle: true, platform: 'node', format: 'esm', target: 'node18', jsx: 'automatic', jsxImportSource: 'preact', logLevel: 'warning',
});
const run = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...tests.map((name) => join(out, name.replace(/\.ts$/, '.mjs')))], {
  stdio: 'inherit', env: { ...process.env, TZ: 'Europe/Paris' },
});
rmSync(out, { recursive: true });
process.exit(run.status ?? 1);
