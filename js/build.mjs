// Builds every widget of js/src/widgets into ct_widgets/widgets/static/.
//
//   NAME.js       one ES module that anywidget loads (`export default` of js/src/widgets/NAME.ts)
//   NAME.page.js  the same widget as a plain script that starts itself, for exported HTML (NAME.page.ts)
//   NAME.css      its style sheet
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const widgets = join(here, "src", "widgets");
const outdir = join(here, "..", "ct_widgets", "widgets", "static");
const watch = process.argv.includes("--watch");

const files = readdirSync(widgets).filter((name) => name.endsWith(".ts"));
const pages = files.filter((name) => name.endsWith(".page.ts"));
const modules = files.filter((name) => !name.endsWith(".page.ts"));

/** @type {esbuild.BuildOptions} */
const common = {
  outdir,
  bundle: true,
  minify: !watch,
  sourcemap: watch ? "inline" : false,
  write: watch,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "info",
};
const builds = [
  { ...common, format: "esm", entryPoints: modules.map((name) => join(widgets, name)) },
  { ...common, format: "iife", entryPoints: pages.map((name) => join(widgets, name)) },
];

if (watch) {
  for (const build of builds) await (await esbuild.context(build)).watch();
} else {
  const made = new Map();
  for (const build of builds) {
    const { outputFiles } = await esbuild.build(build);
    for (const { path, text } of outputFiles) {
      // The page script imports the same style sheet as the module; one copy is enough.
      if (!path.endsWith(".page.css")) made.set(basename(path), text);
    }
  }
  // Written at the end, so that what was there serves until then.
  mkdirSync(outdir, { recursive: true });
  for (const name of readdirSync(outdir)) if (!made.has(name)) rmSync(join(outdir, name), { recursive: true });
  for (const [name, text] of made) writeFileSync(join(outdir, name), text);
}
