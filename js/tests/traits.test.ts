import { expect, it, vi } from "vitest";
import { openOrReport, reportError } from "../src/core/traits";
import { pageStore } from "../src/host/page";

const storeWith = (traits: Record<string, unknown>) => {
  const store = pageStore(new Map(Object.entries(traits)));
  return { store, set: vi.spyOn(store, "set") };
};

it("tells Python what could not be shown, once, and takes it back", () => {
  const { store, set } = storeWith({ error: "" });
  reportError(store, "broken");
  reportError(store, "broken");
  expect([store.get("error"), set.mock.calls.length]).toEqual(["broken", 1]);
  reportError(store, "");
  expect(store.get("error")).toBe("");
});

it("leaves alone a widget without the trait", () => {
  const { store, set } = storeWith({});
  reportError(store, "broken");
  expect(set).not.toHaveBeenCalled();
});

it("gives what opens, or the reason, which Python hears too", () => {
  const { store, set } = storeWith({ error: "" });
  expect(openOrReport(store, () => 3)).toBe(3);
  expect(set).not.toHaveBeenCalled();
  const reason = openOrReport(store, () => {
    throw new RangeError("too short");
  });
  expect(reason).toBeInstanceOf(RangeError);
  expect(store.get("error")).toBe("too short");
  const text = openOrReport(store, () => {
    throw "no error object";
  });
  expect([(text as unknown as Error).message, store.get("error")]).toEqual(["no error object", "no error object"]);
});
