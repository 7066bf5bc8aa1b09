/** The strongest paths between two nodes, one line each; what the pointer rests on is drawn alone. */

import { formatShare, formatWeight } from "../../core/format";
import { nodeName } from "../../core/graph/describe";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { h, on, pressable, strip } from "../parts/dom";
import { linkRows } from "./connection_list";

export function createPaths(session: Session, abort: AbortSignal): HTMLElement {
  const { graph, synced } = session;
  const { element, note, list } = strip("paths", "(Esc)", abort, () => {
    synced.pathEnds.value = [];
  });
  linkRows(list, session, abort);
  const point = (event: Event): void => {
    const place = (event.target as Element).closest<HTMLElement>("[data-path]")?.dataset["path"];
    session.pointedPath.value = place === undefined ? null : Number(place);
  };
  for (const type of ["pointerover", "focusin"] as const) on(list, type, point, abort);
  on(list, "pointerleave", () => (session.pointedPath.value = null), abort);
  live(abort, () => {
    const [from, to] = session.pathRows.value;
    const { paths, total } = session.paths.value;
    const name = (row: number): HTMLElement => h("b", { class: "ctw-mono" }, nodeName(graph, row));
    const node = (row: number): HTMLElement =>
      pressable(
        { class: "ctw-step ctw-mono", "data-row": row, title: session.label(row) },
        session.label(row) || nodeName(graph, row),
      );
    element.hidden = from === undefined;
    session.pointedPath.value = null;
    if (from === undefined) note.replaceChildren();
    else if (to === undefined) note.replaceChildren("paths from ", name(from), ": go to another node and press T");
    else {
      const part = formatShare(paths.reduce((sum, { share }) => sum + Math.abs(share), 0));
      const shares = `: ${paths.length} carry ${part} of its input, all together ${formatShare(total)}`;
      note.replaceChildren("paths from ", name(from), " to ", name(to), paths.length > 0 ? shares : ": none");
    }
    list.replaceChildren(
      ...paths.map(({ rows, share }, place) =>
        h(
          "li",
          { class: `ctw-path ctw-${share < 0 ? "negative" : "positive"}`, "data-path": place },
          h("span", { class: "ctw-weight", title: String(share) }, `${formatWeight(100 * share)} %`),
          h("span", {}, ...rows.flatMap((row, step) => (step === 0 ? [node(row)] : [" → ", node(row)]))),
        ),
      ),
    );
  });
  return element;
}
