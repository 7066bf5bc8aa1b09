/** Keys of the operand widget: everything that the mouse does on its plots. */

import type { OperandSession } from "../../core/operands/session";
import { onKeys } from "../parts/keys";
import type { Sheet } from "./sheet";

const CELLS: Record<string, readonly [up: number, right: number]> = {
  ArrowUp: [1, 0],
  ArrowDown: [-1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

export function listenOperandKeys(root: HTMLElement, session: OperandSession, sheet: Sheet, abort: AbortSignal): void {
  const act = (event: KeyboardEvent, target: Element): boolean => {
    const { key } = event;
    const isEnlarged = session.enlargedRow.peek() !== null;
    const cell = CELLS[key];
    if (cell && (event.shiftKey || target.getAttribute("role") === "application")) session.moveCell(...cell);
    else if (key === "Escape") {
      if (isEnlarged) session.close();
      else if (session.synced.hovered.peek() !== null) session.hover(null);
      else session.synced.selected.value = null;
    } else if (isEnlarged && (key === "[" || key === "]")) session.walk(key === "[" ? "inputs" : "outputs");
    else return !isEnlarged && sheet.walk(key);
    return true;
  };
  const handle = (event: KeyboardEvent, target: Element): void => {
    if (event.ctrlKey || event.metaKey) return;
    const isField = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    if (!isField && act(event, target)) event.preventDefault();
    // Fields and buttons do what they do; the notebook must not take the key as one of its own.
    else if (event.key === "Tab" || (!isField && !(target instanceof HTMLButtonElement))) return;
    event.stopPropagation();
  };
  onKeys(root, handle, abort);
}
