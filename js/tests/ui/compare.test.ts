// @vitest-environment happy-dom
import { expect, it } from "vitest";
import type { TraitStore } from "../../src/core/traits";
import { pageStore } from "../../src/host/page";
import { mountCompare, type Side } from "../../src/ui/compare/view";
import { HOSTILE } from "./support";

const [A, B] = [
  ["feature", 0, 0, 1],
  ["feature", 0, 1, 1],
];

async function mounted() {
  const sides = [HOSTILE, "second"].map(
    (name): Side => ({
      store: pageStore(new Map<string, unknown>([["theme", "light"]])),
      mount: (el) => el.append(`graph ${name}`),
    }),
  ) as [Side, Side];
  const traits = {
    names: [HOSTILE, "second"],
    _counts: { both: 3, moved: 1, a: 1204, b: 0 },
    _pairs: [[A, B], [null, B], "x"],
  };
  const place = document.createElement("div");
  const controller = new AbortController();
  await mountCompare(place, pageStore(new Map(Object.entries(traits))), sides, controller.signal);
  const [first, second] = sides.map(({ store }) => store) as [TraitStore, TraitStore];
  return { place, controller, first, second };
}

it("shows both graphs under their names, as text, with what is in both and in one alone", async () => {
  const { place } = await mounted();
  expect(place.querySelector("p")!.textContent).toBe("4 nodes in both, 1 of them at another place");
  expect([...place.querySelectorAll("section")].map(({ textContent }) => textContent)).toEqual([
    `${HOSTILE}1,204 nodes only heregraph ${HOSTILE}`,
    "second0 nodes only heregraph second",
  ]);
  expect(place.querySelector("img")).toBeNull();
});

it("lets what is selected in one be selected in the other, both ways", async () => {
  const { first, second } = await mounted();
  first.set("selected", A);
  expect(second.get("selected")).toEqual(B);
  second.set("hovered", B);
  expect(first.get("hovered")).toEqual(A);
  second.set("selected", null);
  expect(first.get("selected")).toBeNull();
});

it("leaves the other without any where a node has no counterpart, and keeps its own", async () => {
  const { first, second } = await mounted();
  first.set("selected", A);
  const alone = ["feature", 1, 0, 9];
  first.set("selected", alone);
  expect([first.get("selected"), second.get("selected")]).toEqual([alone, null]);
});

it("ends with its view", async () => {
  const { place, controller, first, second } = await mounted();
  controller.abort();
  first.set("selected", A);
  expect([place.childElementCount, second.get("selected")]).toEqual([0, undefined]);
});
