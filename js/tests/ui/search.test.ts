// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Session } from "../../src/core/graph_widget/session";
import { createSearch, type Search } from "../../src/ui/graph/search";
import { press, sampleSession } from "./support";

let session: Session;
let search: Search;
let input: HTMLInputElement;
let controller: AbortController;
const leave = vi.fn();

beforeEach(() => {
  controller = new AbortController();
  session = sampleSession();
  leave.mockClear();
  search = createSearch(session, leave, controller.signal);
  input = search.element.querySelector("input")!;
  document.body.append(search.element);
});
afterEach(() => search.element.remove());

const type = (text: string): void => {
  input.value = text;
  input.dispatchEvent(new Event("input"));
};
const found = (): string[] =>
  [...search.element.querySelectorAll("[data-row] .ctw-mono:first-child")].map(({ textContent }) => textContent);

it("finds nodes by words, the most influential first, and says how many", () => {
  type("L0");
  expect(found()).toEqual(["L0/11", "L0/12", "L0/11", "error L0"]);
  expect(search.element.querySelector('[aria-live="polite"]')!.textContent).toBe("4 found");
  type("");
  expect([found(), search.element.textContent]).toEqual([[], ""]);
});

it("opens with the focus in its field, and gives it back", () => {
  expect(search.element.hidden).toBe(true);
  search.toggle();
  expect([search.element.hidden, document.activeElement]).toEqual([false, input]);
  press(input, "Escape");
  expect([search.element.hidden, leave.mock.calls.length]).toEqual([true, 1]);
});

it("takes the first at Enter, and goes to the list with an arrow key", () => {
  search.open();
  type("L1");
  press(input, "ArrowDown");
  expect((document.activeElement as HTMLElement).dataset["row"]).toBe("6");
  expect(press(input, "Enter").defaultPrevented).toBe(true);
  expect([session.selectedRow.value, leave.mock.calls.length]).toEqual([6, 1]);
});

it("selects what is clicked, and finds nothing new after the end", () => {
  type("logit");
  search.element.querySelector<HTMLElement>('[data-row="7"]')!.click();
  expect(session.selectedRow.value).toBe(7);
  controller.abort();
  type("L1");
  expect(found()).toEqual(["“x”", "“y”"]);
});
