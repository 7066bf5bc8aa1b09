/** Keys pressed inside a view, before the notebook makes something of them. */

/** Hear keys pressed inside `root`, except those with Alt, until `abort`. */
export function onKeys(
  root: HTMLElement,
  run: (event: KeyboardEvent, target: Element) => void,
  abort: AbortSignal,
): void {
  const handle = (event: KeyboardEvent): void => {
    const [target] = event.composedPath();
    if (target instanceof Element && root.contains(target) && !event.altKey) run(event, target);
  };
  // At the window and before all others, because JupyterLab's shortcuts listen on the document in the capture phase.
  window.addEventListener("keydown", handle, { capture: true, signal: abort });
}

/** Nobody else makes anything of this key. */
export function take(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}
