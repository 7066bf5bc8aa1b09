/** One view of a training run: what it is doing, buttons while it runs, curves, and what its features are like. */

import type { Card } from "../../core/examples/card";
import { formatNumber, formatShare } from "../../core/format";
import { live } from "../../core/lifetime";
import type { TrainingSession } from "../../core/training/session";
import { type Command, describeRun, type LayerRow } from "../../core/training/training";
import { compactCard } from "../examples/card";
import { walkExamples } from "../examples/tinted";
import { button, h } from "../parts/dom";
import { mountRoot } from "../parts/mount";
import { followTheme } from "../parts/theme";
import { createTips } from "../parts/tips";
import { createCharts } from "./charts";

const BUTTONS: Readonly<Record<Exclude<Command, "">, readonly [name: string, title: string]>> = {
  pause: ["Pause", "Hold after the step at hand"],
  resume: ["Resume", "Go on"],
  stop: ["Stop", "End after the step at hand and keep what was learned"],
};

/** Fill `el` with the view until `abort`. */
export function mountTraining(el: HTMLElement, session: TrainingSession, abort: AbortSignal): void {
  const build = (root: HTMLElement): void => {
    followTheme(root, session.synced.theme, abort);
    root.append(
      createHeader(session, abort),
      createProgress(session, abort),
      createCharts(session, abort),
      createTable(session, abort),
    );
    appendCards(root, session, abort);
  };
  mountRoot(el, "ctw ctw-training", build, abort);
}

function createHeader(session: TrainingSession, abort: AbortSignal): HTMLElement {
  const { run, command } = session.synced;
  const title = h("h3", { class: "ctw-t-name" });
  const state = h("span", { class: "ctw-t-state", role: "status" });
  const buttons = h("span", { class: "ctw-t-buttons" });
  live(abort, () => {
    title.textContent = run.value.title || "Transcoder";
    const asked = command.value === "" ? "" : ` · asked to ${command.value}`;
    state.textContent = describeRun(run.value) + asked;
  });
  const made = Object.entries(BUTTONS).map(([name, [text, tip]]) => {
    const element = button(text, tip, abort, () => session.ask(name as Command));
    return [name as Command, element] as const;
  });
  buttons.append(...made.map(([, element]) => element));
  live(abort, () => {
    for (const [name, element] of made) {
      const isOffered = session.choices.value.includes(name);
      // Focus is not lost with the button that is pressed and goes.
      const hadFocus = !isOffered && element.matches(":focus");
      element.hidden = !isOffered;
      if (hadFocus) made.find(([, other]) => !other.hidden)?.[1].focus();
    }
  });
  const message = h("p", { class: "ctw-t-message", role: "alert" });
  live(abort, () => {
    message.textContent = run.value.message;
    message.hidden = run.value.message === "";
  });
  return h("header", { class: "ctw-t-header" }, title, state, buttons, message);
}

function createProgress(session: TrainingSession, abort: AbortSignal): HTMLElement {
  const done = h("div", { class: "ctw-t-done" });
  const bar = h("div", { class: "ctw-t-progress", "aria-hidden": true }, done);
  live(abort, () => {
    const { tokens, total, status } = session.synced.run.value;
    done.style.width = `${total > 0 ? Math.min(100, (100 * tokens) / total) : 0}%`;
    bar.classList.toggle("ctw-t-over", status !== "running" && status !== "paused");
  });
  return bar;
}

/** Figures by layer, once the run is over. */
function createTable(session: TrainingSession, abort: AbortSignal): HTMLElement {
  const body = h("tbody");
  const head = ["layer", "normalised MSE", "L0", "dead features"].map((name) => h("th", { scope: "col" }, name));
  const table = h("table", { class: "ctw-t-table" }, h("thead", {}, h("tr", {}, ...head)), body);
  const box = h("section", { class: "ctw-t-layers", "aria-label": "by layer, on held-out text" }, table);
  live(abort, () => {
    const { layers, status } = session.synced.run.value;
    box.hidden = layers.length === 0 || status === "running" || status === "paused";
    body.replaceChildren(...layers.map(tableRow));
  });
  return box;
}

function tableRow({ name, mse, l0, dead }: LayerRow): HTMLElement {
  const cells = [formatNumber(mse), formatNumber(l0), formatShare(dead)].map((text) => h("td", {}, text));
  return h("tr", {}, h("th", { scope: "row" }, name), ...cells);
}

function appendCards(root: HTMLElement, session: TrainingSession, abort: AbortSignal): void {
  const grid = h("div", { class: "ctw-t-cards" });
  const box = h(
    "section",
    { class: "ctw-t-features", "aria-label": "features as they are now" },
    h("h4", { class: "ctw-t-title" }, "features now ", h("span", { class: "ctw-muted" }, "on held-out text")),
    grid,
  );
  root.append(box);
  const tip = createTips(root, box, abort);
  walkExamples(grid, tip, abort);
  live(abort, () => {
    const cards = session.synced.cards.value;
    tip(null);
    box.hidden = cards.length === 0;
    grid.replaceChildren(...cards.map(cardOf));
  });
}

function cardOf(card: Card): HTMLElement {
  return h(
    "article",
    { class: "ctw-card ctw-compact ctw-t-card" },
    h("h5", { class: "ctw-mono" }, card.feature),
    h("div", { class: "ctw-card-content" }, ...compactCard(card)),
  );
}
