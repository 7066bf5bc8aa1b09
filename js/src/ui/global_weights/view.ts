/** A feature between its strongest global inputs and outputs; a press on one of them goes there. */

import type { ReadonlySignal, Signal } from "@preact/signals-core";
import { formatCount, formatNumber, formatShare, formatWeight, visibleToken } from "../../core/format";
import { type Neighbour, RANKINGS, type Ranking, type Side, type Step } from "../../core/global_weights/walk";
import { live } from "../../core/lifetime";
import type { ThemeSetting } from "../../core/theme";
import { about, compactCard } from "../examples/card";
import { exampleParts, walkExamples } from "../examples/tinted";
import { h, muted, on } from "../parts/dom";
import { take } from "../parts/keys";
import { mountRoot } from "../parts/mount";
import { followTheme } from "../parts/theme";
import { createTips } from "../parts/tips";

export interface SyncedWalk {
  readonly feature: Signal<string>;
  readonly by: Signal<Ranking>;
  readonly trail: ReadonlySignal<readonly string[]>;
  readonly rankings: ReadonlySignal<readonly string[]>;
  readonly step: ReadonlySignal<Step | null>;
  readonly theme: Signal<ThemeSetting>;
}

const NAMES: Record<Ranking, readonly [name: string, meaning: string]> = {
  twera: ["TWERA", "virtual weight times the source's mean activation, tokens weighted by the target's activation"],
  era: ["ERA", "virtual weight times the source's activation where the target is active, as a mean over all tokens"],
  virtual: [
    "virtual weight",
    "what the source writes on what the target reads, whether they are ever active together or not",
  ],
};

/** Examples of the feature in the middle, about as high as its neighbours' column. */
const EXAMPLES = 12;

/** Fill `el` until `abort`. */
export function mountWalk(el: HTMLElement, synced: SyncedWalk, abort: AbortSignal): void {
  mountRoot(el, "ctw ctw-card ctw-compact ctw-walk", (root) => build(root, synced, abort), abort);
}

function build(root: HTMLElement, synced: SyncedWalk, abort: AbortSignal): void {
  const content = h("div", { class: "ctw-card-content" });
  root.append(content);
  followTheme(root, synced.theme, abort);
  const tip = createTips(root, content, abort);
  walkExamples(content, tip, abort);
  const header = h("header", { class: "ctw-walk-header" });
  const sides = h("div", { class: "ctw-walk-sides" });
  content.append(header, sides);
  live(abort, () => {
    header.replaceChildren(trail(synced.trail.value), rankings(synced.rankings.value, synced.by.value));
  });
  live(abort, () => {
    const step = synced.step.value;
    tip(null);
    root.classList.toggle("ctw-waiting", step?.feature !== synced.feature.value || step.by !== synced.by.value);
    root.dataset["feature"] = step?.feature ?? "";
    if (step) sides.replaceChildren(column("inputs", step), middle(step), column("outputs", step));
  });
  on(content, "click", (event) => follow(event, synced), abort);
  on(content, "keydown", (event) => climb(event, content), abort);
}

/** Go where the pressed button says. */
function follow(event: Event, synced: SyncedWalk): void {
  const pressed = (event.target as Element).closest<HTMLElement>("[data-goto], [data-by]");
  const [feature, by] = [pressed?.dataset["goto"], pressed?.dataset["by"]];
  if (feature) synced.feature.value = feature;
  if (by) synced.by.value = by as Ranking;
}

/** Arrow keys go up and down in a column, and from one to the other. */
function climb(event: KeyboardEvent, content: HTMLElement): void {
  const row = (event.target as Element).closest<HTMLElement>(".ctw-neighbour");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const across = { ArrowLeft: "inputs", ArrowRight: "outputs" }[event.key];
  if (!row || (step === undefined && across === undefined)) return;
  const name = across ?? row.dataset["side"];
  const rows = [...content.querySelectorAll<HTMLElement>(`.ctw-neighbour[data-side="${name}"]`)];
  const own = [...content.querySelectorAll(`.ctw-neighbour[data-side="${row.dataset["side"]}"]`)].indexOf(row);
  rows[Math.max(0, Math.min(rows.length - 1, own + (step ?? 0)))]?.focus();
  take(event);
}

function trail(names: readonly string[]): HTMLElement {
  const steps = names.map((name, place) =>
    place === names.length - 1
      ? h("b", { class: "ctw-mono", "aria-current": "true" }, name)
      : h("button", { type: "button", class: "ctw-mono ctw-step", "data-goto": name, "data-tip": "back to it" }, name),
  );
  const hint = names.length > 1 ? [] : [muted("press an input or an output to go there")];
  return h("nav", { class: "ctw-trail", "aria-label": "the way here" }, ...steps, ...hint);
}

function rankings(known: readonly string[], by: Ranking): HTMLElement {
  const buttons = RANKINGS.filter((ranking) => known.includes(ranking)).map((ranking) => {
    const [name, meaning] = NAMES[ranking];
    const pressed = String(ranking === by);
    return h(
      "button",
      { type: "button", class: "ctw-button", "data-by": ranking, "aria-pressed": pressed, "data-tip": meaning },
      name,
    );
  });
  return h("div", { class: "ctw-rankings", role: "group", "aria-label": "ranked by" }, muted("ranked by "), ...buttons);
}

function column(name: "inputs" | "outputs", step: Step): HTMLElement {
  const side: Side = step[name];
  const apart = side.rows.filter(({ interference }) => interference).length;
  const shown = side.kept > side.rows.length ? `strongest ${side.rows.length}` : formatCount(side.rows.length);
  const note = side.rows.length === 0 ? "" : apart > 0 ? `${shown}, ${apart} interference` : shown;
  const title = h("h4", { class: "ctw-small-title" }, name, " ", muted(note));
  const largest = Math.max(1e-12, ...side.rows.map(({ measures }) => Math.abs(measures[step.by] ?? 0)));
  const rows = side.rows.map((row) => h("li", {}, neighbour(name, row, step.by, largest)));
  const nothing = side.missing || `Nothing ${name === "inputs" ? "feeds it" : "reads it"}: no ${name} are kept.`;
  const list = rows.length > 0 ? h("ul", {}, ...rows) : h("p", { class: "ctw-missing" }, nothing);
  return h("section", { class: "ctw-walk-side", "aria-label": name }, title, list);
}

function neighbour(side: string, row: Neighbour, by: Ranking, largest: number): HTMLElement {
  const weight = row.measures[by] ?? 0;
  const bar = h("span", { class: "ctw-walk-bar" });
  bar.style.width = `${(100 * Math.abs(weight)) / largest}%`;
  const label = h("span", { class: row.guessed ? "ctw-label-text ctw-guess" : "ctw-label-text" });
  label.textContent = row.label ? visibleToken(row.label, 60) : "";
  const line = h("span", { class: "ctw-neighbour-example" });
  if (row.spaced) line.classList.add("ctw-spaced");
  if (row.example) line.append(...exampleParts(row.example, row.maximum));
  const sign = weight < 0 ? "ctw-negative" : "ctw-positive";
  return h(
    "button",
    {
      type: "button",
      class: `ctw-neighbour ${sign}${row.interference ? " ctw-apart" : ""}`,
      "data-goto": row.feature,
      "data-side": side,
    },
    h(
      "span",
      { class: "ctw-neighbour-head", "data-tip": meaning(row) },
      h("span", { class: "ctw-mono" }, row.feature),
      label,
      ...(row.interference ? [h("span", { class: "ctw-badge" }, "interference")] : []),
      h("span", { class: "ctw-walk-weight" }, bar, h("span", {}, formatWeight(weight))),
    ),
    line,
  );
}

function meaning({ measures, together, interference }: Neighbour): string {
  const known = RANKINGS.flatMap((ranking) => {
    const value = measures[ranking];
    return value === null ? [] : [`${NAMES[ranking][0]} ${formatNumber(value, 4)}`];
  });
  if (together !== null)
    known.push(`the source has ${formatShare(together)} of its usual activation where the target is active`);
  if (interference) known.push("they are not active together: the weight is interference");
  return known.join("\n");
}

function middle({ card, feature }: Step): HTMLElement {
  const parts = card ? compactCard({ ...card, label: null, guess: null }, EXAMPLES) : [];
  const label = card ? about(card) : [];
  const head = h("h3", { class: "ctw-walk-name" }, h("span", { class: "ctw-mono" }, feature), ...label);
  return h("section", { class: "ctw-walk-middle", "aria-label": feature }, head, ...parts);
}
