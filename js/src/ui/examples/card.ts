/** The card of a feature: what it is called, how often and how strongly it is active, in which texts, and what it says. */

import { type Card, type Scored, type Section, type Statistics, sectionName } from "../../core/examples/card";
import { formatCount, formatDensity, formatNumber, formatWeight, visibleToken } from "../../core/format";
import { h } from "../parts/dom";
import { histogramFigure } from "./histogram";
import { exampleLine } from "./tinted";

/** Examples on the small card. */
const FEW_EXAMPLES = 4;
const FEW_TOKENS = 6;

/** All there is to see. `label` is the element for the label, which the widget makes editable. */
export function fullCard(card: Card, label: HTMLElement): HTMLElement[] {
  const { statistics } = card;
  const head = h("header", { class: "ctw-card-head" }, h("h3", { class: "ctw-mono" }, card.feature), label);
  if (statistics) head.append(facts(statistics));
  const multiples = h("div", { class: "ctw-multiples" });
  if (statistics && statistics.count > 0) {
    multiples.append(
      h(
        "section",
        { "aria-label": "histogram" },
        title("activations", "logarithmic on both axes"),
        histogramFigure(statistics.histogram, card.activation),
      ),
    );
  }
  multiples.append(
    tokens("promotes", "tokens whose logits it raises most", card.promotes),
    tokens("suppresses", "tokens whose logits it lowers most", card.suppresses),
    tokens("driven by", "tokens whose embeddings alone feed it most", card.drives),
  );
  return [head, multiples, ...missing(card), examples(card, statistics?.sections ?? [])];
}

/** What fits under the facts of a node in the graph's panel, with `lines` examples. */
export function compactCard(card: Card, lines = FEW_EXAMPLES): HTMLElement[] {
  const { statistics } = card;
  const parts: HTMLElement[] = [];
  if (card.label || card.guess) parts.push(h("p", { class: "ctw-card-about" }, ...about(card)));
  parts.push(...missing(card));
  const top = statistics?.sections[0];
  if (top) parts.push(examples(card, [{ ...top, examples: top.examples.slice(0, lines) }], false));
  if (card.promotes.length > 0) {
    parts.push(
      tokens("promotes", "tokens whose logits it raises most", card.promotes.slice(0, FEW_TOKENS)),
      tokens("suppresses", "tokens whose logits it lowers most", card.suppresses.slice(0, FEW_TOKENS)),
    );
  }
  if (statistics && statistics.count > 0) {
    parts.push(
      h("div", { class: "ctw-row-of-two" }, histogramFigure(statistics.histogram, card.activation), facts(statistics)),
    );
  }
  return parts;
}

/** The label and where it comes from; a guess says that it is one. */
export function about(card: Card): (HTMLElement | string)[] {
  if (card.label) {
    const by = card.label.origin === "model" ? `by ${card.label.model ?? "a model"}` : "";
    return [
      h("span", { class: "ctw-label-text" }, card.label.text),
      ...(by ? [badge(by, "label of a language model")] : []),
    ];
  }
  if (!card.guess) return [];
  return [
    h("span", { class: "ctw-label-text ctw-guess" }, card.guess.text),
    badge("automatic", `a guess from statistics alone: ${card.guess.reason}`),
  ];
}

function badge(text: string, title: string): HTMLElement {
  return h("span", { class: "ctw-badge", "data-tip": title, title }, text);
}

function facts(statistics: Statistics): HTMLElement {
  const share = `active on ${formatCount(statistics.count)} of ${formatCount(statistics.tokens)} tokens`;
  return h(
    "p",
    { class: "ctw-card-facts" },
    h(
      "span",
      { "data-tip": share },
      h("span", { class: "ctw-muted" }, "density "),
      h("b", {}, formatDensity(statistics.density)),
    ),
    h(
      "span",
      { "data-tip": `${formatNumber(statistics.maximum, 6)}, the highest activation in the corpus` },
      h("span", { class: "ctw-muted" }, "maximum "),
      h("b", {}, formatNumber(statistics.maximum)),
    ),
  );
}

function missing(card: Card): HTMLElement[] {
  const never = card.statistics !== null && card.statistics.count === 0;
  const text = never
    ? `Never active on the ${formatCount(card.statistics.tokens)} tokens of the corpus.`
    : card.missing;
  return text ? [h("p", { class: "ctw-missing" }, text)] : [];
}

function title(name: string, tip: string): HTMLElement {
  return h("h4", { class: "ctw-small-title", "data-tip": tip }, name);
}

function tokens(name: string, tip: string, scored: Scored): HTMLElement {
  const items = scored.map(([token, value]) =>
    h(
      "li",
      { class: "ctw-mono", "data-tip": `${visibleToken(token)}  ${formatWeight(value)}` },
      visibleToken(token, 16),
    ),
  );
  return h("section", { class: "ctw-tokens-of", "aria-label": name }, title(name, tip), h("ul", {}, ...items));
}

function examples(card: Card, sections: readonly Section[], isTitled = true): HTMLElement {
  const maximum = card.statistics?.maximum ?? 0;
  const box = h("div", { class: card.spaced ? "ctw-examples ctw-spaced" : "ctw-examples" });
  for (const section of sections) {
    const lines = section.examples.map((example) => exampleLine(example, maximum));
    const range =
      section.low === section.high
        ? formatNumber(section.high)
        : `${formatNumber(section.low)} to ${formatNumber(section.high)}`;
    const what =
      section.share === null
        ? "the highest activations, each in a context of its own"
        : "of those where it is active, by activation; a random sample";
    const heading = h(
      "h4",
      { class: "ctw-small-title", "data-tip": what },
      sectionName(section),
      h("span", { class: "ctw-muted" }, `  ${range}`),
    );
    box.append(
      h("section", { "aria-label": `${sectionName(section)}, ${range}` }, ...(isTitled ? [heading] : []), ...lines),
    );
  }
  const first = box.querySelector<HTMLElement>(".ctw-example");
  if (first) first.tabIndex = 0;
  return box;
}
