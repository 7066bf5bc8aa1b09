/** Snapshots of the subgraph, as a line of names: one click restores, the cross deletes, and both can be undone. */

import { visibleToken } from "../../core/format";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { h, muted, on, pressable } from "../parts/dom";
import { editText } from "../parts/edit_text";

/** `leave` takes the focus when a name was typed. */
export function createSnapshots(session: Session, leave: () => void, abort: AbortSignal): HTMLElement {
  const { edits, synced, boxes } = session;
  const element = h("div", { class: "ctw-snapshots", role: "group", "aria-label": "snapshots" });
  const names = (): string[] => Object.keys(synced.snapshots.peek());
  const save = (): void => {
    const done = (text: string | null): void => {
      if (text?.trim()) edits.saveSnapshot(text.trim());
      leave();
    };
    const text = `snapshot ${names().length + 1}`;
    const { input, start } = editText({ text, name: "Name of the snapshot", done }, abort);
    element.append(input);
    start();
  };
  const press = (event: Event): void => {
    const { action, place } = (event.target as HTMLElement).dataset;
    const name = names()[Number(place)]!;
    if (action === "save") save();
    else if (action === "restore") edits.restoreSnapshot(name);
    else if (action === "delete") edits.deleteSnapshot(name);
  };
  on(element, "click", press, abort);
  live(abort, () => {
    const known = Object.keys(synced.snapshots.value);
    const item = (action: string, text: string, title: string, place?: number): HTMLElement =>
      pressable({ title, "data-action": action, "data-place": place }, text);
    element.hidden = known.length === 0 && boxes.value.length === 0;
    element.replaceChildren(
      muted("snapshots"),
      ...known.map((name, place) => {
        const shown = visibleToken(name, 40);
        const remove = item("delete", "×", `Delete “${shown}”`, place);
        remove.setAttribute("aria-label", `Delete ${shown}`);
        return h("span", { class: "ctw-buttons" }, item("restore", shown, "Restore this subgraph", place), remove);
      }),
      item("save", "Save…", "Keep this subgraph"),
    );
  });
  return element;
}
