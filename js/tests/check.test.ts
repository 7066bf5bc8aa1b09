/** The check of imports itself: each fault is found, and what is right passes. */

import { expect, it } from "vitest";
import { circles, crossings, importGraph } from "../check.mjs";

const graphOf = (sources: Record<string, string>) => importGraph(new Map(Object.entries(sources)));

it("finds imports in every form, type-only and lazy ones too", () => {
  const graph = graphOf({
    "ui/a.ts": [
      'import { b } from "./b";',
      'import type { C } from "../core/c";',
      'import {\n  type D,\n} from "./d";',
      'export { e } from "./e";',
      'const f = await import("./f");',
      'import "./style.css";',
      'import { signal } from "@preact/signals-core";',
    ].join("\n"),
    "ui/b.ts": "",
    "core/c.ts": "",
    "ui/d.ts": "",
    "ui/e.ts": "",
    "ui/f.ts": "",
  });
  expect(graph.get("ui/a.ts")).toEqual(["ui/b.ts", "core/c.ts", "ui/d.ts", "ui/e.ts", "ui/f.ts"]);
});

it("finds imports that cross the floors", () => {
  const files = { "core/a.ts": "", "ui/a.ts": "", "host/a.ts": "", "widgets/a.ts": "" };
  const importing = (path: keyof typeof files, target: string) =>
    crossings(graphOf({ ...files, [path]: `import type { A } from "../${target}/a";` })).length;
  const wrong = [
    ["core", "ui"],
    ["core", "host"],
    ["ui", "host"],
    ["host", "ui"],
    ["ui", "widgets"],
  ] as const;
  for (const [from, to] of wrong) expect(importing(`${from}/a.ts`, to), `${from} -> ${to}`).toBe(1);
  const right = [
    ["ui", "core"],
    ["host", "core"],
    ["widgets", "ui"],
    ["widgets", "host"],
  ] as const;
  for (const [from, to] of right) expect(importing(`${from}/a.ts`, to), `${from} -> ${to}`).toBe(0);
});

it("finds circles of two and of more files, through types too, and no other", () => {
  const two = { "core/a.ts": 'import type { B } from "./b";', "core/b.ts": 'import { a } from "./a";' };
  expect(circles(graphOf({ ...two, "core/c.ts": 'import { a } from "./a";' }))).toEqual([["core/a.ts", "core/b.ts"]]);
  const three = { ...two, "core/b.ts": 'import "./c";', "core/c.ts": 'import { a } from "./a";' };
  expect(circles(graphOf(three))).toEqual([["core/a.ts", "core/b.ts", "core/c.ts"]]);
  const none = { ...two, "core/b.ts": 'import "./c";', "core/c.ts": "" };
  expect(circles(graphOf(none))).toEqual([]);
});
