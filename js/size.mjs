// Fails when a bundle is over its budget: it travels with every widget instance and is saved in notebooks.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const statics = join(dirname(fileURLToPath(import.meta.url)), "..", "ct_widgets", "widgets", "static");
/** Bytes of script and style sheet, gzipped. */
const USUAL = 25_000;
const LARGER = { graph: 36_000 };
const widgets = readdirSync(statics)
  .filter((name) => name.endsWith(".js") && !name.endsWith(".page.js"))
  .map((name) => name.replace(/\.js$/, ""));

for (const name of widgets) {
  const budget = LARGER[name] ?? USUAL;
  const files = [`${name}.js`, `${name}.css`].map((file) => readFileSync(join(statics, file)));
  const gzipped = files.reduce((sum, file) => sum + gzipSync(file).length, 0);
  const minified = files.reduce((sum, file) => sum + file.length, 0);
  if (gzipped > budget) process.exitCode = 1;
  console.log(
    `${gzipped > budget ? "OVER " : "ok   "}${name}: ${gzipped} of ${budget} bytes gzipped (${minified} before)`,
  );
}
