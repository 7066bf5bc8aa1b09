/** Strengths of boxes: where sliders stop, and the way back. */

export type Strengths = Readonly<Record<string, number>>;

/** Ends of every slider, and its marks; 1 is the model's own activity. */
export const [WEAKEST, STRONGEST] = [-2, 2] as const;
export const TICKS = [-2, -1, 0, 1, 2] as const;
const STEP = 0.05;
/** How near to a tick a slider stops at it. */
const CATCH = 0.07;
const MOST_UNDONE = 200;

export function readStrengths(value: unknown): Strengths {
  return Object.fromEntries(
    Object.entries(value ?? {}).filter(([, strength]) => Number.isFinite(strength)),
  ) as Strengths;
}

/** The strength that a slider takes for `value`; among `allowed` ones where there are. */
export function snap(value: number, allowed?: readonly number[]): number {
  if (allowed) return allowed.reduce((best, one) => (Math.abs(one - value) < Math.abs(best - value) ? one : best));
  const inside = Math.max(WEAKEST, Math.min(STRONGEST, value));
  const tick = TICKS.find((one) => Math.abs(one - inside) < CATCH);
  return tick ?? Math.round(Math.round(inside / STEP) * STEP * 100) / 100;
}

/** `strengths` with `name` at `value`, or without it where `value` is null. */
export function withStrength(strengths: Strengths, name: string, value: number | null): Strengths {
  const { [name]: _, ...others } = strengths;
  return value === null ? others : { ...others, [name]: value };
}

export function sameStrengths(a: Strengths, b: Strengths): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** What strengths were before each finished change. */
export class History {
  readonly #past: Strengths[] = [];

  get length(): number {
    return this.#past.length;
  }

  /** Keep `before` unless nothing has changed since. */
  keep(before: Strengths, now: Strengths): void {
    if (sameStrengths(before, now)) return;
    this.#past.push(before);
    if (this.#past.length > MOST_UNDONE) this.#past.shift();
  }

  undo(): Strengths | undefined {
    return this.#past.pop();
  }
}
