/** Answers that an exported page carries: every slider alone, and the pairs that were asked for. */

import { type Answer, type Curve, readAnswer, readCurve } from "./perturbation";
import { type Strengths, snap } from "./strength";

export class Grid {
  readonly values: readonly number[];
  readonly #baseline: Answer;
  readonly #single = new Map<string, Answer[]>();
  readonly #curves = new Map<string, Curve>();
  readonly #pairs: { a: string; b: string; answers: Answer[][] }[] = [];

  /** Throws for data that no export wrote. */
  constructor(raw: Record<string, unknown>) {
    const answer = (value: unknown): Answer => {
      const read = readAnswer(value);
      if (!read) throw new Error("the computed answers of this page are damaged: export it again");
      return read;
    };
    this.values = (raw["values"] as unknown[]).map(Number);
    this.#baseline = answer(raw["baseline"]);
    for (const [name, answers] of Object.entries(raw["single"] as Record<string, unknown[]>))
      this.#single.set(name, answers.map(answer));
    for (const [name, curve] of Object.entries(raw["curves"] as Record<string, unknown>)) {
      const read = readCurve(curve);
      if (read) this.#curves.set(name, read);
    }
    for (const [a, b, answers] of raw["pairs"] as [string, string, unknown[][]][])
      this.#pairs.push({ a, b, answers: answers.map((row) => row.map(answer)) });
  }

  /** The nearest strengths that were computed, when `name` was moved last: others stay only if they go with it. */
  allow(strengths: Strengths, name: string): Strengths {
    const moved = Object.entries(strengths).filter(([other, value]) => other !== name && value !== 1);
    const stays = moved.filter(([other]) => this.#pair(other, name) !== undefined).slice(-1);
    const mine = strengths[name];
    const kept: [string, number][] = mine === undefined ? moved.slice(-1) : [...stays, [name, mine]];
    return Object.fromEntries(kept.map(([other, value]) => [other, snap(value, this.values)]));
  }

  answer(strengths: Strengths): Answer {
    const moved = Object.entries(strengths).filter(([, value]) => value !== 1);
    const [first, second] = moved;
    if (!first) return { ...this.#baseline, strengths };
    const place = (value: number): number => this.values.indexOf(snap(value, this.values));
    if (!second) return this.#single.get(first[0])?.[place(first[1])] ?? this.#baseline;
    const pair = this.#pair(first[0], second[0]);
    if (!pair) return this.#baseline;
    const [a, b] = pair.a === first[0] ? [first[1], second[1]] : [second[1], first[1]];
    return pair.answers[place(a)]![place(b)]!;
  }

  /** The curve of one box, which was computed with all others at 1. */
  curve(name: string | null, strengths: Strengths): Curve | null {
    const alone = Object.entries(strengths).every(([other, value]) => other === name || value === 1);
    return name === null || !alone ? null : (this.#curves.get(name) ?? null);
  }

  #pair(a: string, b: string): { a: string; b: string; answers: Answer[][] } | undefined {
    return this.#pairs.find((pair) => (pair.a === a && pair.b === b) || (pair.a === b && pair.b === a));
  }
}
