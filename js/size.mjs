// Fails when a bundle is over its budget: it travels with every widget instance and is saved in notebooks.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const statics = join(dirname(fileURLToPath(import.meta.url)), "..", "ct_widgets", "widgets", "static");
const usual = { minified: 60_000, gzipped: 22_000 };
const larger = { graph: { minified: 90_000, gzipped: 30_000 } };
const widgets = readdirSync(statics)
  .filter((name) => name.endsWith(".js") && !name.endsWith(".page.js"))
  .map((name) => name.replace(/\.js$/, ""));

let failed = false;
for (const name of widgets) {
  const budget = larger[name] ?? usual;
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
