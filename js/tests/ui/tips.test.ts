// @vitest-environment happy-dom
import { beforeEach, expect, it } from "vitest";
import { h } from "../../src/ui/parts/dom";
import { createTips } from "../../src/ui/parts/tips";
import { HOSTILE, point } from "./support";

let [root, content, controller] = [h("div"), h("div"), new AbortController()];
const tooltip = (): HTMLElement => root.querySelector<HTMLElement>('[role="tooltip"]')!;

beforeEach(() => {
  [root, content, controller] = [h("div"), h("div"), new AbortController()];
  content.append(h("b", { "data-tip": HOSTILE }, h("i", {}, "inside")), h("u", {}, "no tip"));
  root.append(content);
});

it("shows the tip of what is under the pointer, as text", () => {
  createTips(root, content, controller.signal);
  expect(tooltip().hidden).toBe(true);
  point(content.querySelector("i")!, "pointerover");
  expect([tooltip().hidden, tooltip().textContent]).toEqual([false, HOSTILE]);
  expect(tooltip().querySelector("img")).toBeNull();
});

it("hides it over what has none, and when the pointer leaves", () => {
  createTips(root, content, controller.signal);
  point(content.querySelector("b")!, "pointerover");
  point(content.querySelector("u")!, "pointerover");
  expect(tooltip().hidden).toBe(true);
  point(content.querySelector("b")!, "pointerover");
  point(content, "pointerleave");
  expect(tooltip().hidden).toBe(true);
});

it("shows the tip of any element that it is given", () => {
  const tip = createTips(root, content, controller.signal);
  tip(content.querySelector("b"));
  expect(tooltip().hidden).toBe(false);
  tip(null);
  expect(tooltip().hidden).toBe(true);
});

it("hears nothing after the end", () => {
  createTips(root, content, controller.signal);
  controller.abort();
  point(content.querySelector("b")!, "pointerover");
  expect(tooltip().hidden).toBe(true);
});
