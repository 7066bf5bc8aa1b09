// @vitest-environment happy-dom
import { expect, it, vi } from "vitest";
import { button, h, on, onResize, pressable, s, strip } from "../../src/ui/parts/dom";
import { HOSTILE, layOut } from "./support";

it("sets attributes, and leaves out those that are undefined or false", () => {
  const element = h("input", { type: "range", min: 0, disabled: true, hidden: false, title: undefined });
  expect(element.outerHTML).toBe('<input type="range" min="0" disabled="">');
});

it("makes text of strings, whatever they look like", () => {
  const element = h("p", { title: HOSTILE }, HOSTILE, h("b", {}, HOSTILE));
  expect(element.querySelector("img")).toBeNull();
  expect(element.textContent).toBe(HOSTILE + HOSTILE);
  expect(element.getAttribute("title")).toBe(HOSTILE);
  expect(s("title", {}, HOSTILE).firstElementChild).toBeNull();
});

it("makes SVG elements in their namespace", () => {
  const element = s("g", {}, s("path", { d: "M0 0" }));
  expect(element.namespaceURI).toBe("http://www.w3.org/2000/svg");
  expect(element.firstElementChild!.namespaceURI).toBe("http://www.w3.org/2000/svg");
});

it("listens until the end", () => {
  const controller = new AbortController();
  const heard = vi.fn();
  const element = h("div");
  on(element, "click", heard, controller.signal);
  element.click();
  controller.abort();
  element.click();
  expect(heard).toHaveBeenCalledTimes(1);
});

it("makes buttons that do one thing until the end, and that submit nothing", () => {
  const controller = new AbortController();
  const pressed = vi.fn();
  const element = button("Fold", "(E)", controller.signal, pressed);
  expect([element.type, element.title, element.textContent]).toEqual(["button", "(E)", "Fold"]);
  expect(pressable({ class: "ctw-row" }).className).toBe("ctw-row");
  element.click();
  controller.abort();
  element.click();
  expect(pressed).toHaveBeenCalledTimes(1);
});

it("hears of sizes until the end", () => {
  const page = layOut(100);
  const controller = new AbortController();
  const run = vi.fn();
  onResize(h("div"), run, controller.signal);
  page.resize(50);
  expect([run.mock.calls.length, page.observed()]).toEqual([2, 1]);
  controller.abort();
  page.resize(70);
  expect([run.mock.calls.length, page.observed()]).toEqual([2, 0]);
});

it("makes strips that somebody can close", () => {
  const end = vi.fn();
  const { element, note, list } = strip("paths", "(Esc)", new AbortController().signal, end);
  expect(element.getAttribute("aria-label")).toBe("paths");
  expect([note.parentElement, list.parentElement]).toEqual([element, element]);
  element.querySelector("button")!.click();
  expect(end).toHaveBeenCalledTimes(1);
});
