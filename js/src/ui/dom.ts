/** Plain DOM in few words. Strings become text nodes, never markup. */

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
  abort.addEventListener("abort", () => observer.disconnect(), { once: true });
}

/** Run `run` once, as soon as `element` has a size: a notebook may render before it shows, when no style is known yet. */
export function onceSized(element: Element, run: () => void, abort: AbortSignal): void {
  const observer = new ResizeObserver(() => {
    if (element.clientWidth === 0) return;
    observer.disconnect();
    run();
  });
  observer.observe(element);
  abort.addEventListener("abort", () => observer.disconnect(), { once: true });
}

/** Text of less weight. */
export function muted(...children: (Node | string)[]): HTMLElement {
  return h("span", { class: "ctw-muted" }, ...children);
}

/** A button that does one thing, until `abort`. */
export function button(text: string, title: string, abort: AbortSignal, press: () => void): HTMLButtonElement {
  const element = h("button", { type: "button", class: "ctw-button", title }, text);
  on(element, "click", press, abort);
  return element;
}
