/** Plain DOM in few words. Strings become text nodes, never markup. */

import { atEnd } from "../../core/lifetime";

type Attributes = Record<string, string | number | boolean | undefined>;

function fill<T extends Element>(element: T, attributes: Attributes, children: (Node | string)[]): T {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** An HTML element. Attributes that are undefined or false are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Listen until `abort`. */
export function on<K extends keyof HTMLElementEventMap>(
  target: EventTarget,
  type: K,
  run: (event: HTMLElementEventMap[K]) => void,
  abort: AbortSignal,
): void {
  target.addEventListener(type, run as EventListener, { signal: abort });
}

/** Run `run` when `element` gets its size and whenever that changes, until `abort`. */
export function onResize(element: Element, run: () => void, abort: AbortSignal): void {
  const observer = new ResizeObserver(run);
  observer.observe(element);
  atEnd(abort, () => observer.disconnect());
}

/** A strip under the header that somebody asked for: what it is, a way to close it, and a list. */
export function strip(
  name: string,
  title: string,
  abort: AbortSignal,
  end: () => void,
): { element: HTMLElement; note: HTMLElement; list: HTMLElement } {
  const note = h("span", { class: "ctw-grow" });
  const list = h("ul", { class: "ctw-results" });
  const close = button("Close", title, abort, end);
  return { element: h("section", { class: "ctw-strip", "aria-label": name }, note, close, list), note, list };
}

/** Text of less weight. */
export function muted(...children: (Node | string)[]): HTMLElement {
  return h("span", { class: "ctw-muted" }, ...children);
}

/** A button whose clicks are heard by what it stands in. */
export function pressable(attributes: Attributes, ...children: (Node | string)[]): HTMLButtonElement {
  return h("button", { type: "button", class: "ctw-button", ...attributes }, ...children);
}

/** A button that does one thing, until `abort`. */
export function button(text: string, title: string, abort: AbortSignal, press: () => void): HTMLButtonElement {
  const element = pressable({ title }, text);
  on(element, "click", press, abort);
  return element;
}
