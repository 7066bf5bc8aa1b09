/** The traits of OperandWidget, by the names that `ct_widgets/widgets/operand_widget.py` gives them. */

import { decodeColumns } from "../core/columns";
import { OperandSession, readOperandTrait as read } from "../core/operand_session";
import { readOperands } from "../core/operands";
import { readTrait } from "../core/session";
import { bindTrait, type TraitStore } from "./traits";

/** Throws for data that cannot be shown. */
export function openOperands(store: TraitStore, abort: AbortSignal): OperandSession {
  const operands = readOperands(decodeColumns(store.get("_columns") as Uint8Array));
  return new OperandSession(operands, {
    selected: bindTrait(store, "selected", read.selected, abort),
    enlarged: bindTrait(store, "enlarged", read.enlarged, abort),
    hovered: bindTrait(store, "hovered", read.hovered, abort),
    scale: bindTrait(store, "scale", read.scale, abort),
    overlay: bindTrait(store, "overlay", read.overlay, abort),
    k: bindTrait(store, "k", read.k, abort),
    sort: bindTrait(store, "sort", read.sort, abort),
    families: bindTrait(store, "families", read.families, abort),
    shows: bindTrait(store, "shows", read.shows, abort),
    theme: bindTrait(store, "theme", readTrait.theme, abort),
  });
}
