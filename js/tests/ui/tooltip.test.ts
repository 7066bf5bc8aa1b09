// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { Tooltip } from "../../src/ui/plot/tooltip";
import { HOSTILE, sampleSession } from "./support";

const STAGE = { width: 400, height: 300 };

it("names the node and says label, place and numbers, as text", () => {
  const tooltip = new Tooltip(sampleSession({ labels: { "L1/13": HOSTILE } }));
  tooltip.show(6, 100, 200, STAGE);
  const [name, facts] = [...tooltip.element.children];
  expect([tooltip.element.hidden, name!.textContent]).toEqual([false, "feature L1/13"]);
  expect(facts!.textContent).toBe(`${HOSTILE} · at token 2, b · influence 0.60`);
  expect(tooltip.element.querySelector("img")).toBeNull();
});

it("stands above its node where there is room, else below", () => {
  const tooltip = new Tooltip(sampleSession());
  tooltip.show(6, 100, 200, STAGE);
  expect(tooltip.element.style.transform).toContain("calc(186px - 100%)");
  tooltip.show(6, 100, 20, STAGE);
  expect(tooltip.element.style.transform).toMatch(/34px\)$/);
});

it("follows from node to node and hides without one", () => {
  const tooltip = new Tooltip(sampleSession());
  tooltip.show(6, 100, 200, STAGE);
  tooltip.show(7, 100, 200, STAGE);
  expect(tooltip.element.textContent).toContain("logit “x”");
  tooltip.show(null, 0, 0, STAGE);
  expect(tooltip.element.hidden).toBe(true);
});
