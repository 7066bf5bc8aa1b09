/** One view of operand plots: what is shown and how, the sheet, or one plot enlarged. */

import { computed, type Signal } from "@preact/signals-core";
import { formatCount, formatNumber, visibleToken } from "../../core/format";
import { live } from "../../core/lifetime";
import { activationRamp, signRamp } from "../../core/operands/heatmap";
import { FAMILIES, rowName } from "../../core/operands/operands";
import { MOMENTS, type OperandSession, SCALES } from "../../core/operands/session";
import { familyCounts, OVERLAYS, SORTS } from "../../core/operands/sheet";
import { button, h, muted, on } from "../parts/dom";
import { errorView, mountRoot } from "../parts/mount";
import { followTheme } from "../parts/theme";
import { createDetail, type Detail } from "./detail";
import { listenOperandKeys } from "./keyboard";
import { createOperandLegend } from "./legend";
import { Sheet } from "./sheet";

/** Fill `el` as soon as it has a size (a notebook may render before it shows), until `abort`. */
export function mountOperands(el: HTMLElement, session: OperandSession, abort: AbortSignal): void {
  mountRoot(el, "ctw ctw-operands", (root) => build(root, session, abort), abort);
}

export const mountOperandsError = errorView("ctw-operands", "These plots");

function build(root: HTMLElement, session: OperandSession, abort: AbortSignal): void {
  const palette = followTheme(root, session.synced.theme, abort);
  const ramp = computed(() => (session.signed.value ? signRamp : activationRamp)(palette.value));
  const sheet = new Sheet(session, ramp, abort);
  const place = h("div");
  let detail: Detail | null = null;
  let enlarged: number | null = null;
  const [press, legend] = createOperandLegend(abort);
  root.append(createHeader(session, press), createSettings(session, abort), createNote(session, abort));
  root.append(legend, sheet.element, place);
  live(abort, () => {
    const row = session.enlargedRow.value;
    const hadFocus = root.contains((root.getRootNode() as Document).activeElement);
    const life = new AbortController();
    detail = row === null ? null : createDetail(session, row, ramp, palette, life.signal);
    place.replaceChildren(...(detail ? [detail.element] : []));
    sheet.element.hidden = row !== null;
    if (hadFocus && detail) detail.focus();
    else if (hadFocus && enlarged !== null) sheet.focus(enlarged);
    // A tall sheet gives way to one plot: what the reader asked for must not be out of sight.
    if (hadFocus && row !== null && enlarged === null) root.scrollIntoView({ block: "nearest" });
    enlarged = row;
    return () => life.abort();
  });
  listenOperandKeys(root, session, sheet, abort);
}

/** The prompt with its operands. */
function createHeader({ operands: { template } }: OperandSession, legend: HTMLElement): HTMLElement {
  return h(
    "header",
    { class: "ctw-o-header" },
    h("span", { class: "ctw-o-template", title: template.slice(0, 4000) }, visibleToken(template, 120)),
    legend,
  );
}

function createSettings(session: OperandSession, abort: AbortSignal): HTMLElement {
  const { synced, operands } = session;
  const families = familyCounts(operands).map(([kind, count]) => {
    const chip = button(`${FAMILIES[kind]} `, `Show only the family ${FAMILIES[kind]}`, abort, () =>
      session.toggleFamily(kind),
    );
    chip.append(muted(formatCount(count)));
    live(abort, () => chip.setAttribute("aria-pressed", String(synced.families.value.includes(kind))));
    return chip;
  });
  const k = h("input", { type: "number", class: "ctw-field ctw-o-number", "aria-label": "k, the sum" });
  on(
    k,
    "input",
    () => {
      if (Number.isSafeInteger(k.valueAsNumber) && k.checkValidity()) synced.k.value = k.valueAsNumber;
    },
    abort,
  );
  k.min = String(Math.min(...operands.a) + Math.min(...operands.b));
  k.max = String(Math.max(...operands.a) + Math.max(...operands.b));
  const sum = h("label", {}, "k ", k);
  live(abort, () => {
    sum.hidden = synced.overlay.value === "none";
    if (k.valueAsNumber !== synced.k.value) k.value = String(synced.k.value);
  });
  return h(
    "div",
    { class: "ctw-settings" },
    h("span", { class: "ctw-o-chips", role: "group", "aria-label": "families" }, ...families),
    ...(operands.before ? [choice("shows", MOMENTS, MOMENTS, synced.shows, abort)] : []),
    choice("order", SORTS, SORTS, synced.sort, abort),
    choice("scale", SCALES, SCALES, synced.scale, abort),
    choice("lines", OVERLAYS, ["none", "a + b = k", "a + b = k mod 10"], synced.overlay, abort),
    sum,
    colourBar(session, abort),
  );
}

function choice<T extends string>(
  name: string,
  options: readonly T[],
  texts: readonly string[],
  value: Signal<T>,
  abort: AbortSignal,
): HTMLElement {
  const select = h(
    "select",
    { class: "ctw-field", "aria-label": name },
    ...options.map((option, i) => h("option", { value: option }, texts[i]!)),
  );
  on(select, "change", () => (value.value = select.value as T), abort);
  live(abort, () => {
    select.value = value.value;
  });
  return h("label", {}, `${name} `, select);
}

/** What the colours stand for. */
function colourBar(session: OperandSession, abort: AbortSignal): HTMLElement {
  const bar = h("span", { class: "ctw-o-bar" });
  const [what, low, high] = [muted(), h("span"), h("span")];
  live(abort, () => {
    const { signed, top, synced, operands } = session;
    const end = synced.scale.value === "own" ? "each peak" : formatNumber(top.value);
    bar.classList.toggle("ctw-o-signed", signed.value);
    what.textContent = operands.before && synced.shows.value === "difference" ? "change" : "activation";
    low.textContent = signed.value ? (synced.scale.value === "own" ? "\u2212 each peak" : `\u2212${end}`) : "0";
    high.textContent = end;
  });
  return h("span", { class: "ctw-o-colours", role: "img", "aria-label": "colour scale" }, what, low, bar, high);
}

/** How many plots there are and what they are, or what is read at the hovered cell. */
function createNote(session: OperandSession, abort: AbortSignal): HTMLElement {
  const { operands, synced } = session;
  const token = session.token(operands.position);
  const told = h("span", { class: "ctw-muted" });
  const reading = h("span", { class: "ctw-o-reading", role: "status" });
  live(abort, () => {
    const cell = synced.hovered.value;
    const row = session.pointed.value ?? session.selectedRow.value;
    const value = row === null ? null : session.valueOf(row);
    if (cell === null) reading.textContent = "";
    else {
      const [a, b] = cell;
      const parts = [`a ${a}`, `b ${b}`, `a + b ${a + b}`];
      if (row !== null && value !== null) parts.push(`${rowName(operands, row)} ${formatNumber(value, 2)}`);
      reading.textContent = parts.join(" · ").replaceAll("-", "\u2212");
    }
  });
  live(abort, () => {
    const shown = session.rows.value.length;
    const parts = [
      shown === operands.nShown
        ? `${formatCount(shown)} features at “${token}”`
        : `${formatCount(shown)} of ${formatCount(operands.nShown)} features at “${token}”`,
    ];
    if (operands.leftOut > 0) parts.push(`${formatCount(operands.leftOut)} less influential ones left out`);
    if (operands.elsewhere > 0) parts.push(`${formatCount(operands.elsewhere)} nodes at other tokens have no plot`);
    const selected = synced.selected.value;
    if (selected !== null && session.selectedRow.value === null)
      parts.push(`selected ${selected[0]} at “${session.token(selected[2])}” has no plot`);
    parts.push(
      session.enlargedRow.value === null
        ? "click enlarges; arrow keys walk, with Shift the cell"
        : "arrow keys move the cell; [ and ] walk to the strongest input and output",
    );
    told.textContent = parts.join(" · ");
  });
  return h("p", { class: "ctw-o-note" }, told, reading);
}
