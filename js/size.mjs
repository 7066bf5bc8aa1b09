// Fails when a bundle is over its budget: it travels with every widget instance and is saved in notebooks.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const statics = join(dirname(fileURLToPath(import.meta.url)), "..", "ct_widgets", "widgets", "static");
const other = { minified: 60_000, gzipped: 22_000 };
const budgets = { graph: { minified: 90_000, gzipped: 30_000 }, compare: other };

let failed = false;
for (const [name, budget] of Object.entries(budgets)) {
  const files = [`${name}.js`, `${name}.css`].map((file) => readFileSync(join(statics, file)));
  const minified = files.reduce((sum, file) => sum + file.length, 0);
  const gzipped = files.reduce((sum, file) => sum + gzipSync(file).length, 0);
  const over = minified > budget.minified || gzipped > budget.gzipped;
  failed ||= over;
  console.log(
    `${over ? "OVER " : "ok   "}${name}: ${minified} of ${budget.minified} bytes minified, ` +
      `${gzipped} of ${budget.gzipped} gzipped (script and style sheet)`,
  );
}
process.exitCode = failed ? 1 : 0;
