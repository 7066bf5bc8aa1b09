// @vitest-environment happy-dom
import { computed, signal } from "@preact/signals-core";
import { expect, it } from "vitest";
import { slider } from "../../src/ui/parts/slider";

function made() {
  const controller = new AbortController();
  const value = signal(0.8);
  const left = computed(() => `${Math.round(100 * value.value)} of 100`);
  const element = slider({ name: "nodes", title: "the fewest", value, result: () => left.value }, controller.signal);
  const input = element.querySelector("input")!;
  const move = (to: number): void => {
    input.value = String(to);
    input.dispatchEvent(new Event("input"));
  };
  return { controller, value, element, input, move };
}

it("sets its signal, which is where the value goes", () => {
  const { value, move, element } = made();
  move(0.35);
  expect(value.value).toBe(0.35);
  expect(element.textContent).toBe("nodes.3535 of 100");
});

it("follows its signal, and says it to screen readers", () => {
  const { value, input } = made();
  value.value = 0.5;
  expect([input.valueAsNumber, input.getAttribute("aria-valuetext")]).toEqual([0.5, ".50, 50 of 100"]);
});

it("does neither after the end", () => {
  const { value, input, move, controller } = made();
  controller.abort();
  value.value = 0.5;
  expect(input.valueAsNumber).toBe(0.8);
  move(0.1);
  expect(value.value).toBe(0.5);
});
