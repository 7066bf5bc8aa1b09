// @vitest-environment happy-dom
import { expect, it, vi } from "vitest";
import { h } from "../../src/ui/parts/dom";
import { editText } from "../../src/ui/parts/edit_text";
import { press } from "./support";

function opened(abort = new AbortController().signal) {
  const done = vi.fn();
  const place = h("div");
  const outside = vi.fn();
  place.addEventListener("keydown", outside);
  document.body.append(place);
  const { input, start } = editText({ text: "sum", name: "Label of the node", done }, abort);
  place.append(input);
  start();
  return { done, place, input, outside };
}

it("begins with the text, all of it selected, under a name", () => {
  const { input } = opened();
  expect([input.value, input.selectionStart, input.selectionEnd]).toEqual(["sum", 0, 3]);
  expect([document.activeElement, input.getAttribute("aria-label")]).toEqual([input, "Label of the node"]);
});

it("keeps the text at Enter and when it is left, once", () => {
  const { done, input, place } = opened();
  input.value = "addition";
  press(input, "Enter");
  input.dispatchEvent(new Event("blur"));
  expect(done.mock.calls).toEqual([["addition"]]);
  expect(place.childElementCount).toBe(0);
  const other = opened();
  other.input.value = "left";
  other.input.dispatchEvent(new Event("blur"));
  expect(other.done.mock.calls).toEqual([["left"]]);
});

it("gives it up at Escape", () => {
  const { done, input } = opened();
  input.value = "addition";
  expect(press(input, "Escape").defaultPrevented).toBe(true);
  expect(done.mock.calls).toEqual([[null]]);
});

it("keeps all keys from the notebook, and does not end while letters are composed", () => {
  const { done, input, outside } = opened();
  press(input, "a");
  press(input, "Enter", { isComposing: true });
  expect([done.mock.calls.length, outside.mock.calls.length]).toEqual([0, 0]);
});

it("hears nothing after the end", () => {
  const controller = new AbortController();
  const { done, input } = opened(controller.signal);
  controller.abort();
  press(input, "Enter");
  expect(done).not.toHaveBeenCalled();
});
