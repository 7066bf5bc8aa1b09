/** Where a view begins: its root inside the element that a host gives it, or in its place why there is no view. */

import { atEnd } from "../../core/lifetime";
import { h } from "./dom";

/** Put a root of the classes `name` into `el` until `abort`, and `build` it once it has a size: hosts may render before they show. */
export function mountRoot(el: HTMLElement, name: string, build: (root: HTMLElement) => void, abort: AbortSignal): void {
  const root = h("div", { class: name });
  el.append(root);
  atEnd(abort, () => root.remove());
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === 0) return;
    observer.disconnect();
    build(root);
  });
  observer.observe(root);
  atEnd(abort, () => observer.disconnect());
}

/** Makes the function that says in place of a view of the class `name` why `what` cannot be shown. */
export function errorView(name: string, what: string): (el: HTMLElement, error: unknown, abort: AbortSignal) => void {
  return (el, error, abort) => {
    const reason = error instanceof Error ? error.message : String(error);
    const root = h("div", { class: `ctw ${name} ctw-failed`, role: "alert" });
    root.append(h("b", {}, `${what} cannot be shown. `), reason, " Run the cell again.");
    el.append(root);
    atEnd(abort, () => root.remove());
  };
}
