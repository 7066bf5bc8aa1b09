/** One view of an examples widget: the card of the feature in question, kept in step with the session. */

import type { Card } from "../../core/examples/card";
import type { ExamplesSession } from "../../core/examples/session";
import { live } from "../../core/lifetime";
import { h, on } from "../parts/dom";
import { editText } from "../parts/edit_text";
import { mountRoot } from "../parts/mount";
import { followTheme } from "../parts/theme";
import { createTips } from "../parts/tips";
import { about, compactCard, fullCard } from "./card";
import { walkExamples } from "./tinted";

/** After this time without an answer the view says that it waits. */
const PATIENCE_MS = 2_000;

/** Fill `el` with the card, until `abort`. */
export function mountExamples(el: HTMLElement, session: ExamplesSession, abort: AbortSignal): void {
  mountRoot(el, "ctw ctw-card", (root) => build(root, session, abort), abort);
}

function build(root: HTMLElement, session: ExamplesSession, abort: AbortSignal): void {
  followTheme(root, session.synced.theme, abort);
  const content = h("div", { class: "ctw-card-content" });
  root.append(content);
  const tip = createTips(root, content, abort);
  walkExamples(content, tip, abort);
  live(abort, () => {
    const card = session.shown.value;
    tip(null);
    root.setAttribute("data-feature", card?.feature ?? "");
    root.classList.toggle("ctw-compact", session.synced.compact.value);
    root.classList.toggle("ctw-waiting", card === null && session.synced.feature.value !== "");
    if (card) {
      content.replaceChildren(
        ...(session.synced.compact.value ? compactCard(card) : fullCard(card, label(card, session, abort))),
      );
      return undefined;
    }
    if (session.synced.feature.value === "") {
      content.replaceChildren(h("p", { class: "ctw-missing" }, "No feature is selected."));
      return undefined;
    }
    const patience = setTimeout(() => {
      content.replaceChildren(
        h("p", { class: "ctw-missing" }, `Waiting for ${session.synced.feature.peek()}: is the kernel busy or gone?`),
      );
    }, PATIENCE_MS);
    return () => clearTimeout(patience);
  });
}

/** The label, and what makes it an input. */
function label(card: Card, session: ExamplesSession, abort: AbortSignal): HTMLElement {
  const press = h("button", { type: "button", class: "ctw-card-label", title: "Change the label" });
  const parts = about(card);
  press.append(...(parts.length > 0 ? parts : [h("span", { class: "ctw-muted" }, "add label")]));
  const box = h("span", { class: "ctw-card-label-box" }, press);
  const done = (text: string | null): void => {
    press.hidden = false;
    if (text !== null && text !== (card.label?.text ?? "")) session.synced.label.value = text;
    press.focus();
  };
  const edit = (): void => {
    // Who takes over a guess confirms it.
    const text = card.label?.text ?? card.guess?.text ?? "";
    const { input, start } = editText({ text, name: `Label of ${card.feature}`, done }, abort);
    press.hidden = true;
    box.append(input);
    start();
  };
  on(press, "click", edit, abort);
  return box;
}
