/**
 * What a training view shows: the curves so far and the state of the run, as `ct_widgets/widgets/training_state.py`
 * sends them, checked, since they may come out of a notebook that somebody else saved.
 */

import { type Card, readCard } from "../examples/card";
import { formatCount, formatNumber, formatShare } from "../format";
import { asList, asNumberOrNull, asObject, asText } from "../read_trait";

export const STATUSES = ["waiting", "running", "paused", "finished", "stopped", "failed"] as const;
export type Status = (typeof STATUSES)[number];
export const COMMANDS = ["", "pause", "resume", "stop"] as const;
export type Command = (typeof COMMANDS)[number];

export interface Run {
  readonly status: Status;
  readonly title: string;
  readonly tokens: number;
  readonly total: number;
  /** Tokens per second, and seconds that are left; null while nobody knows. */
  readonly rate: number | null;
  readonly left: number | null;
  /** Why it ended, if not because it was done. */
  readonly message: string;
  readonly layers: readonly LayerRow[];
}

/** Figures of one layer, the last row those of all. */
export interface LayerRow {
  readonly name: string;
  readonly mse: number;
  readonly l0: number;
  readonly dead: number;
}

export interface Point {
  readonly tokens: number;
  readonly value: number;
}

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Chart {
  readonly title: string;
  readonly scale: "log" | "share";
  readonly lines: readonly Line[];
}

/** A chart spans at least this part of a power of ten, so that noise does not look like news. */
const LEAST_DECADES = 0.15;

/** NaN, which reads "n/a", for what is no number. */
const figure = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);

export function readRun(value: unknown): Run {
  const run = asObject(value);
  const status = STATUSES.find((one) => one === run["status"]) ?? "waiting";
  return {
    status,
    title: asText(run["title"]),
    tokens: asNumberOrNull(run["tokens"]) ?? 0,
    total: asNumberOrNull(run["total"]) ?? 0,
    rate: asNumberOrNull(run["rate"]),
    left: asNumberOrNull(run["left"]),
    message: asText(run["message"]),
    layers: asList(run["layers"]).map((row) => {
      const [name, mse, l0, dead] = asList(row);
      return { name: asText(name), mse: figure(mse), l0: figure(l0), dead: figure(dead) };
    }),
  };
}

export function readCards(value: unknown): readonly Card[] {
  return asList(value)
    .map(readCard)
    .filter((card): card is Card => card !== null);
}

export function readCommand(value: unknown): Command {
  return COMMANDS.find((one) => one === value) ?? "";
}

/** The four charts of `curves`: lines by name, each a list of [tokens, value]. */
export function readCharts(value: unknown): readonly Chart[] {
  const curves = asObject(value);
  const lines = (...names: string[]): Line[] =>
    names
      .filter((name) => name in curves)
      .map((name) => ({
        name,
        points: asList(curves[name])
          .map((pair) => ({ tokens: figure(asList(pair)[0]), value: figure(asList(pair)[1]) }))
          .filter(({ tokens, value: one }) => Number.isFinite(tokens) && Number.isFinite(one)),
      }));
  return [
    { title: "loss", scale: "log", lines: lines("loss") },
    { title: "normalised MSE", scale: "log", lines: lines("batch, mean of layers", "held out, overall") },
    { title: "L0: active features per token", scale: "log", lines: lines("L0") },
    { title: "shares", scale: "share", lines: lines("dead features", "same top-1 as model") },
  ];
}

/** A vertical scale: where a value stands between 0 (bottom) and 1 (top), and its marks. */
export interface Scale {
  readonly place: (value: number) => number;
  readonly marks: readonly number[];
}

/** A scale that holds all values of a chart, with a little room. */
export function scaleOf({ scale, lines }: Chart): Scale {
  if (scale === "share") return { place: (value) => clamp(value), marks: [0, 0.5, 1] };
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value));
  const logs = values.filter((value) => value > 0).map(Math.log10);
  if (logs.length === 0) return { place: () => 0, marks: [] };
  const [low, high] = padded(least(logs), most(logs));
  return {
    place: (value) => (value > 0 ? clamp((Math.log10(value) - low) / (high - low)) : 0),
    marks: logMarks(low, high),
  };
}

// Not Math.min(...values): there may be more values than a call takes.
const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));
const clamp = (share: number): number => Math.min(1, Math.max(0, share));

/** A twelfth of room on either side, and more where all values are nearly the same. */
function padded(low: number, high: number): [low: number, high: number] {
  const room = (high - low) / 12 + Math.max(0, LEAST_DECADES - (high - low)) / 2;
  return [low - room, high + room];
}

/** Two to four round numbers between powers of ten `low` and `high`. */
function logMarks(low: number, high: number): number[] {
  const within = (digits: readonly number[]): number[] => {
    const marks: number[] = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const digit of digits) marks.push(Number(`${digit}e${power}`));
    }
    return marks.filter((mark) => Math.log10(mark) >= low && Math.log10(mark) <= high);
  };
  const found = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]].map(within);
  const marks = found.find((some) => some.length >= 2) ?? found.at(-1)!;
  const step = Math.ceil(marks.length / 4);
  return marks.filter((_, i) => i % step === 0);
}

/** The last point of a line that is not after `tokens`. */
export function pointAt({ points }: Line, tokens: number): Point | undefined {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]!.tokens <= tokens) low = middle + 1;
    else high = middle;
  }
  return points[low - 1];
}

export function formatValue(value: number, { scale }: Chart): string {
  return scale === "share" ? formatShare(value) : formatNumber(value);
}

/** Marks are round numbers, in as few digits. */
export function formatMark(mark: number, { scale }: Chart): string {
  return scale === "share" ? `${100 * mark} %` : formatNumber(mark, 1);
}

/** Tokens in few characters: 950, 12.3 k, 4.56 M. */
export function formatTokens(tokens: number): string {
  for (const [unit, name] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (tokens >= unit) return `${formatNumber(tokens / unit)} ${name}`;
  }
  return formatCount(Math.round(tokens));
}

/** Time in its two largest units: 45 s, 3 min 20 s, 2 h 5 min. */
export function formatTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What the run is doing, in words. */
export function describeRun({ status, tokens, total, rate, left }: Run): string {
  const far = `${formatTokens(tokens)} of ${formatTokens(total)} tokens`;
  const speed = rate === null ? "" : ` · ${formatTokens(rate)} tokens/s`;
  switch (status) {
    case "waiting":
      return "waiting for the first step";
    case "running":
      return `${far}${speed}${left === null ? "" : ` · ${formatTime(left)} left`}`;
    case "paused":
      return `paused after ${far}`;
    case "finished":
      return `finished: ${formatTokens(tokens)} tokens${speed}`;
    case "stopped":
      return `stopped after ${far}`;
    case "failed":
      return `failed after ${far}`;
  }
}

/** Buttons that make sense now: what to ask for, and its name. */
export function choices({ status }: Run, asked: Command): readonly Command[] {
  if (status === "running") return asked === "pause" || asked === "stop" ? ["stop"] : ["pause", "stop"];
  if (status === "paused") return ["resume", "stop"];
  return [];
}
