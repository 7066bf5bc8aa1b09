/** The traits of OperandWidget, by the names that `ct_widgets/widgets/operand_widget.py` gives them. */

import type { Signal } from "@preact/signals-core";
import { decodeColumns } from "../core/columns";
import { asNodeId } from "../core/graph/graph";
import { readOperands } from "../core/operands/operands";
import { asCellOrNull, asFamilies, MOMENTS, OperandSession, SCALES } from "../core/operands/session";
import { OVERLAYS, SORTS } from "../core/operands/sheet";
import { asFlag, asIntegerOrNull, asTheme, oneOf } from "../core/read_trait";
import { bindTrait, type TraitStore } from "../core/traits";

/** The session of a widget. Throws for data that cannot be shown. */
export function openOperands(store: TraitStore, abort: AbortSignal): OperandSession {
  const bind = <T>(name: string, read: (value: unknown) => T): Signal<T> => bindTrait(store, name, read, abort);
  const operands = readOperands(decodeColumns(store.get("_columns") as Uint8Array));
  return new OperandSession(operands, {
    selected: bind("selected", asNodeId),
    enlarged: bind("enlarged", asFlag),
    hovered: bind("hovered", asCellOrNull),
    scale: bind("scale", oneOf(SCALES)),
    overlay: bind("overlay", oneOf(OVERLAYS)),
    k: bind("k", (value) => asIntegerOrNull(value) ?? 0),
    sort: bind("sort", oneOf(SORTS)),
    families: bind("families", asFamilies),
    shows: bind("shows", oneOf(MOMENTS)),
    theme: bind("theme", asTheme),
  });
}
