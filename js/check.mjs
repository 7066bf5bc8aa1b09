// Fails where the modules of js/src depend on each other as they must not, or a style sheet is too long.
//
//   floors   core < ui < widgets, core < host < widgets; core knows nothing of ui and host, ui nothing of host
//   circles  no cycle of more than one file; type-only imports count
//   length   style sheets of at most 400 lines (modules and functions: biome.json, which counts the bodies of the latter)
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const FLOORS = {
  core: ["core"],
  host: ["core", "host"],
  ui: ["core", "ui"],
  widgets: ["core", "host", "ui", "widgets"],
};
const MOST_LINES = 400;
const IMPORT = /^\s*(?:import|export)\b[^;"']*["'](\.[^"']+)["']|\bimport\(\s*["'](\.[^"']+)["']/gm;

/** Relative imports of every module of `sources` (path -> text), as paths among them. */
export function importGraph(sources) {
  const find = (from, name) => {
    const path = join(dirname(from), name);
    return [path, `${path}.ts`].find((candidate) => sources.has(candidate));
  };
  const graph = new Map();
  for (const [path, text] of sources) {
    const names = [...text.matchAll(IMPORT)].map(([, plain, lazy]) => plain ?? lazy);
    graph.set(path, [...new Set(names.map((name) => find(path, name)).filter((found) => found?.endsWith(".ts")))]);
  }
  return graph;
}

/** One import that crosses the floors per line. */
export function crossings(graph) {
  const floor = (path) => path.split("/")[0];
  return [...graph].flatMap(([path, imports]) =>
    imports
      .filter((target) => FLOORS[floor(path)] && !FLOORS[floor(path)].includes(floor(target)))
      .map((target) => `${path} imports ${target}: ${floor(path)}/ knows only ${FLOORS[floor(path)].join(", ")}`),
  );
}

/** Groups of files that import each other in a circle (Tarjan's strongly connected components). */
export function circles(graph) {
  const [index, low, stack, found] = [new Map(), new Map(), [], []];
  const visit = (path) => {
    index.set(path, index.size);
    low.set(path, index.get(path));
    stack.push(path);
    for (const target of graph.get(path)) {
      if (!index.has(target)) visit(target);
      if (stack.includes(target)) low.set(path, Math.min(low.get(path), low.get(target)));
    }
    if (low.get(path) !== index.get(path)) return;
    const circle = stack.splice(stack.indexOf(path));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const path of graph.keys()) if (!index.has(path)) visit(path);
  return found;
}

function main() {
  const root = join(dirname(fileURLToPath(import.meta.url)), "src");
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const sources = new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [relative(root, path).split("\\").join("/"), readFileSync(path, "utf8")];
    }),
  );
  const graph = importGraph(new Map([...sources].filter(([path]) => path.endsWith(".ts"))));
  const faults = [
    ...crossings(graph),
    ...circles(graph).map((circle) => `import each other in a circle: ${circle.join(", ")}`),
    ...[...sources].flatMap(([path, text]) => {
      const lines = text.split("\n").length - 1;
      return path.endsWith(".css") && lines > MOST_LINES ? [`${path} has ${lines} of ${MOST_LINES} lines`] : [];
    }),
  ];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
