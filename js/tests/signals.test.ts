import * as original from "@preact/signals-core";
import { describe, expect, it, vi } from "vitest";
import * as ours from "../src/core/signals";

/** Numbers between 0 and 1, the same for the same seed. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Library {
  signal<T>(value: T): { value: T; peek(): T };
  computed<T>(compute: () => T): { readonly value: T; peek(): T };
  effect(body: () => undefined | (() => void)): () => void;
  batch(body: () => void): void;
}

/** A random net of values under random writes, reads and ends of effects: everything that can be seen of it. */
function story({ signal, computed, effect, batch }: Library, seed: number): string[] {
  const random = randoms(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const told: string[] = [];
  const inputs = Array.from({ length: 4 }, (_, i) => signal(i));
  const values: { readonly value: number; peek(): number }[] = [...inputs];
  for (let i = 0; i < 8; i++) {
    const [test, yes, no] = [pick(values), pick(values), pick(values)];
    values.push(
      computed(() => {
        return test.value % 2 === 0 ? (yes.value * 3 + i) % 17 : no.peek() % 5;
      }),
    );
  }
  const ends = Array.from({ length: 4 }, (_, i) => {
    const watched = [pick(values), pick(values)];
    return effect(() => {
      // Sorted at the end of each step: in which order effects run is not part of the promise.
      told.push(`effect ${i}: ${watched.map(({ value }) => value).join(" ")}`);
      return () => void told.push(`tidy ${i}`);
    });
  });
  const steps: string[] = [];
  for (let step = 0; step < 60; step++) {
    told.length = 0;
    const act = random();
    if (act < 0.5) pick(inputs).value = Math.floor(random() * 15);
    else if (act < 0.7) {
      batch(() => {
        for (const input of inputs) input.value = Math.floor(random() * 15);
      });
    } else if (act < 0.95) told.push(`read ${pick(values).value}`);
    else pick(ends)();
    steps.push(told.sort().join("; "));
  }
  return steps;
}

describe("signals", () => {
  it("do what the original does", () => {
    for (let seed = 1; seed <= 300; seed++) expect(story(ours, seed), `seed ${seed}`).toEqual(story(original, seed));
  });

  it("compute once per change, and not at all for nobody", () => {
    const a = ours.signal(1);
    const left = vi.fn(() => a.value + 1);
    const right = vi.fn(() => a.value * 2);
    const [l, r] = [ours.computed(left), ours.computed(right)];
    const both = vi.fn(() => l.value + r.value);
    const sum = ours.computed(both);
    expect(both).not.toHaveBeenCalled();
    const seen: number[] = [];
    const end = ours.effect(() => void seen.push(sum.value));
    a.value = 2;
    expect(seen).toEqual([4, 7]);
    expect([left, right, both].map((spy) => spy.mock.calls.length)).toEqual([2, 2, 2]);
    end();
    a.value = 3;
    expect(seen).toEqual([4, 7]);
    expect(left).toHaveBeenCalledTimes(2);
    expect(sum.value).toBe(10);
    expect(sum.value).toBe(10);
    expect(both).toHaveBeenCalledTimes(3);
  });

  it("keep nothing alive that nobody watches", () => {
    const source = ours.signal(0) as ours.Signal<number> & { readers: Set<unknown> };
    const middle = ours.computed(() => source.value);
    const last = ours.computed(() => middle.value);
    expect([last.value, source.readers.size]).toEqual([0, 0]);
    const ends = [1, 2].map(() => ours.effect(() => last.value));
    expect(source.readers.size).toBe(1);
    for (const end of ends) end();
    expect(source.readers.size).toBe(0);
  });

  it("let the other effects run when one fails, and say so", () => {
    const a = ours.signal(0);
    const seen: number[] = [];
    ours.effect(() => {
      if (a.value === 1) throw new Error("broken");
    });
    ours.effect(() => void seen.push(a.value));
    expect(() => (a.value = 1)).toThrow("broken");
    expect(seen).toEqual([0, 1]);
    a.value = 2;
    expect(seen).toEqual([0, 1, 2]);
  });

  it("pass on what a computation throws, until it does not", () => {
    const a = ours.signal(0);
    const inverse = ours.computed(() => {
      if (a.value === 0) throw new Error("no inverse");
      return 1 / a.value;
    });
    const seen: (number | string)[] = [];
    ours.effect(() => {
      try {
        seen.push(inverse.value);
      } catch (error) {
        seen.push((error as Error).message);
      }
    });
    for (const next of [2, 0, 4]) a.value = next;
    expect(seen).toEqual(["no inverse", 0.5, "no inverse", 0.25]);
  });

  it("find circles", () => {
    const a = ours.signal(0);
    const circle = (): void => {
      a.value = a.value + 1;
    };
    expect(() => ours.effect(circle)).toThrow("circle");
  });
});
