// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { createLegend } from "../../src/ui/graph/legend";
import { createOperandLegend } from "../../src/ui/operands/legend";

it("shows every kind of node and both signs, in words too, and is hidden at first", () => {
  const legend = createLegend();
  expect([legend.hidden, legend.getAttribute("role")]).toEqual([true, "region"]);
  expect(legend.querySelectorAll("svg.ctw-icon")).toHaveLength(5);
  for (const mark of ["positive", "negative", "selected", "hovered", "same", "pinned", "unmatched", "group"])
    expect(legend.querySelector(`[class*="${mark}"]`), mark).not.toBeNull();
  expect(legend.textContent).toContain("+ raises its target");
  expect(legend.textContent).toContain("\u2212 lowers its target");
});

it("lists every key that the widget hears", () => {
  const keys = [...createLegend().querySelectorAll("kbd")].map(({ textContent }) => textContent);
  for (const key of ["[", "]", "P", "T", "G", "L", "/", "Esc", "Z", "E", "0"]) expect(keys).toContain(key);
});

it("of operand plots opens and closes by its button until the end", () => {
  const controller = new AbortController();
  const [press, legend] = createOperandLegend(controller.signal);
  const state = (): unknown[] => [legend.hidden, press.getAttribute("aria-expanded")];
  expect(state()).toEqual([true, "false"]);
  press.click();
  expect(state()).toEqual([false, "true"]);
  press.click();
  expect(state()).toEqual([true, "false"]);
  controller.abort();
  press.click();
  expect(state()).toEqual([true, "false"]);
});
