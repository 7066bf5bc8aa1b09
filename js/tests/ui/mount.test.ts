// @vitest-environment happy-dom
import { expect, it, vi } from "vitest";
import { errorView, mountRoot } from "../../src/ui/parts/mount";
import { HOSTILE, layOut } from "./support";

it("builds a view once it has a size, and only once", () => {
  const page = layOut(0);
  const place = document.createElement("div");
  const build = vi.fn((root: HTMLElement) => root.append("built"));
  mountRoot(place, "ctw ctw-graph", build, new AbortController().signal);
  expect([build.mock.calls.length, place.firstElementChild!.className]).toEqual([0, "ctw ctw-graph"]);
  page.resize(600);
  page.resize(700);
  expect([build.mock.calls.length, place.textContent, page.observed()]).toEqual([1, "built", 0]);
});

it("takes the view away at the end, and watches no more", () => {
  const page = layOut(0);
  const place = document.createElement("div");
  const controller = new AbortController();
  const build = vi.fn();
  mountRoot(place, "ctw", build, controller.signal);
  controller.abort();
  page.resize(600);
  expect([place.childElementCount, page.observed(), build.mock.calls.length]).toEqual([0, 0, 0]);
});

it("says in place of a view why there is none, as text", () => {
  const place = document.createElement("div");
  const controller = new AbortController();
  const mount = errorView("ctw-graph", "This graph");
  mount(place, new Error(HOSTILE), controller.signal);
  mount(place, "no more memory", controller.signal);
  const [first, second] = [...place.children];
  expect(first!.textContent).toBe(`This graph cannot be shown. ${HOSTILE} Run the cell again.`);
  expect([first!.className, first!.getAttribute("role")]).toEqual(["ctw ctw-graph ctw-failed", "alert"]);
  expect(place.querySelector("img")).toBeNull();
  expect(second!.textContent).toContain("no more memory");
  controller.abort();
  expect(place.childElementCount).toBe(0);
});
