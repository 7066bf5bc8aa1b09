// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Example } from "../../src/core/examples/card";
import { exampleLine, walkExamples } from "../../src/ui/examples/tinted";
import { h } from "../../src/ui/parts/dom";
import { HOSTILE, press } from "./support";

const EXAMPLE: Example = {
  pieces: [
    { text: "what is", activations: [0] },
    { text: " 36", activations: [2] },
    { text: HOSTILE, activations: [0.5, 8] },
  ],
  peak: 1,
  position: 4,
  text: 12,
};

let [container, controller, tip] = [h("div"), new AbortController(), vi.fn()];

beforeEach(() => {
  [container, controller, tip] = [h("div"), new AbortController(), vi.fn()];
  container.append(exampleLine(EXAMPLE, 8), exampleLine(EXAMPLE, 8));
  document.body.append(container);
  walkExamples(container, tip, controller.signal);
});
afterEach(() => container.remove());

const lines = (): HTMLElement[] => [...container.querySelectorAll<HTMLElement>(".ctw-example")];

it("parts the text at the peak", () => {
  const [line] = lines();
  expect(line!.querySelector(".ctw-ahead")!.textContent).toBe("what is");
  expect(line!.querySelector(".ctw-behind")!.textContent).toBe(` 36${HOSTILE}`);
  expect(line!.querySelector(".ctw-peak")!.textContent).toBe(" 36");
});

it("tints every piece by its part of the maximum, and not at all without activation", () => {
  const tints = [...lines()[0]!.querySelectorAll<HTMLElement>(".ctw-piece")].map(({ style }) =>
    style.getPropertyValue("--ctw-tint"),
  );
  expect(tints).toEqual(["", "0.250", "1.000"]);
});

it("keeps text of the corpus text, in tips too", () => {
  const last = [...lines()[0]!.querySelectorAll(".ctw-piece")].at(-1)!;
  expect(container.querySelector("img")).toBeNull();
  expect(last.getAttribute("data-tip")).toBe(`“${HOSTILE}”  0.5000, 8.000`);
  expect(lines()[0]!.getAttribute("aria-label")).toContain("2.00, text 12, token 5");
});

it("opens and closes by click, Enter and Space", () => {
  const [line] = lines();
  const isOpen = (): string | null => line!.getAttribute("aria-expanded");
  line!.click();
  expect(isOpen()).toBe("true");
  press(line!, "Enter");
  expect(isOpen()).toBe("false");
  expect(press(line!, " ").defaultPrevented).toBe(true);
  expect(isOpen()).toBe("true");
});

it("walks from line to line, of which one is reached by Tab", () => {
  const [first, second] = lines();
  first!.focus();
  press(first!, "ArrowDown");
  expect(document.activeElement).toBe(second);
  expect([first!.tabIndex, second!.tabIndex]).toEqual([-1, 0]);
  press(second!, "ArrowDown");
  expect(document.activeElement).toBe(second);
});

it("reads tokens with left and right, from the peak on", () => {
  const [line] = lines();
  const pieces = [...line!.querySelectorAll(".ctw-piece")];
  press(line!, "ArrowRight");
  expect(tip).toHaveBeenLastCalledWith(pieces[1]);
  press(line!, "ArrowRight");
  press(line!, "ArrowRight");
  expect(tip).toHaveBeenLastCalledWith(pieces[2]);
  press(line!, "ArrowLeft");
  expect(tip).toHaveBeenLastCalledWith(pieces[1]);
});

it("leaves other keys to the notebook, and all of them after the end", () => {
  const [line] = lines();
  expect(press(line!, "a").defaultPrevented).toBe(false);
  controller.abort();
  press(line!, "Enter");
  line!.click();
  expect(line!.getAttribute("aria-expanded")).toBe("false");
});
