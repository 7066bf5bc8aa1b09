/** What views rely on in signals, through `live`: a new version of the library must keep it. */

import { batch, computed, effect, signal } from "@preact/signals-core";
import { expect, it, vi } from "vitest";
import { atEnd, live } from "../src/core/lifetime";

it("runs at once, at every change, and no more after the end", () => {
  const controller = new AbortController();
  const value = signal(1);
  const seen: number[] = [];
  live(controller.signal, () => void seen.push(value.value));
  value.value = 2;
  value.value = 2;
  controller.abort();
  value.value = 3;
  expect(seen).toEqual([1, 2]);
});

it("does nothing for a view that has ended", () => {
  const body = vi.fn();
  live(AbortSignal.abort(), body);
  expect(body).not.toHaveBeenCalled();
});

it("tidies up before the next time and at the end", () => {
  const controller = new AbortController();
  const value = signal("a");
  const told: string[] = [];
  live(controller.signal, () => {
    const now = value.value;
    told.push(`+${now}`);
    return () => void told.push(`-${now}`);
  });
  value.value = "b";
  controller.abort();
  expect(told).toEqual(["+a", "-a", "+b", "-b"]);
});

it("ends what was started inside with the life of that inside", () => {
  const controller = new AbortController();
  const [opened, inner] = [signal<string | null>("first"), signal(0)];
  const seen: string[] = [];
  live(controller.signal, () => {
    const name = opened.value;
    const life = new AbortController();
    if (name !== null) live(life.signal, () => void seen.push(`${name} ${inner.value}`));
    return () => life.abort();
  });
  inner.value = 1;
  opened.value = "second";
  inner.value = 2;
  opened.value = null;
  inner.value = 3;
  expect(seen).toEqual(["first 0", "first 1", "second 1", "second 2"]);
});

it("runs what is asked for at the end once", () => {
  const controller = new AbortController();
  const run = vi.fn();
  atEnd(controller.signal, run);
  controller.abort();
  controller.abort();
  expect(run).toHaveBeenCalledTimes(1);
});

it("computes once per change, and not at all for nobody", () => {
  const a = signal(1);
  const left = vi.fn(() => a.value + 1);
  const right = vi.fn(() => a.value * 2);
  const [l, r] = [computed(left), computed(right)];
  const both = vi.fn(() => l.value + r.value);
  const sum = computed(both);
  expect(both).not.toHaveBeenCalled();
  const controller = new AbortController();
  const seen: number[] = [];
  live(controller.signal, () => void seen.push(sum.value));
  a.value = 2;
  expect(seen).toEqual([4, 7]);
  expect([left, right, both].map((spy) => spy.mock.calls.length)).toEqual([2, 2, 2]);
  controller.abort();
  a.value = 3;
  expect(left).toHaveBeenCalledTimes(2);
  expect(sum.value).toBe(10);
});

it("sees several changes as one in a batch", () => {
  const [a, b] = [signal(1), signal(2)];
  const seen: number[] = [];
  live(new AbortController().signal, () => void seen.push(a.value + b.value));
  batch(() => {
    a.value = 10;
    b.value = 20;
  });
  expect(seen).toEqual([3, 30]);
});

it("lets other views run when one fails, and says so", () => {
  const a = signal(0);
  const seen: number[] = [];
  const { signal: abort } = new AbortController();
  live(abort, () => {
    if (a.value === 1) throw new Error("broken");
  });
  live(abort, () => void seen.push(a.value));
  expect(() => {
    a.value = 1;
  }).toThrow("broken");
  expect(seen).toEqual([0, 1]);
  a.value = 2;
  expect(seen).toEqual([0, 1, 2]);
});

it("passes on what a computation throws, until it does not", () => {
  const a = signal(0);
  const inverse = computed(() => {
    if (a.value === 0) throw new Error("no inverse");
    return 1 / a.value;
  });
  const seen: (number | string)[] = [];
  effect(() => {
    try {
      seen.push(inverse.value);
    } catch (error) {
      seen.push((error as Error).message);
    }
  });
  for (const next of [2, 0, 4]) a.value = next;
  expect(seen).toEqual(["no inverse", 0.5, "no inverse", 0.25]);
});

it("finds circles", () => {
  const a = signal(0);
  const circle = (): void => {
    a.value = a.value + 1;
  };
  expect(() => live(new AbortController().signal, circle)).toThrow(/[Cc]ycle/);
});
