/** Two graphs side by side: what is hovered or selected in one is so in the other. */

import { formatCount } from "../../core/format";
import { type Counterpart, counterparts } from "../../core/graph/compare";
import { asNodeId } from "../../core/graph/graph";
import { atEnd } from "../../core/lifetime";
import { asTexts, asTheme } from "../../core/read_trait";
import { bindTrait, type TraitStore } from "../../core/traits";
import { h } from "../parts/dom";
import { followTheme } from "../parts/theme";

/** Traits that follow each other. */
const LINKED = ["hovered", "selected"] as const;

/** One of the two graphs: its traits, and how to show it. */
export interface Side {
  readonly store: TraitStore;
  mount(el: HTMLElement, abort: AbortSignal): unknown;
}

/** Fill `el` with both graphs, linked, until `abort`; `store` holds the traits of CompareWidget. */
export async function mountCompare(
  el: HTMLElement,
  store: TraitStore,
  sides: readonly [Side, Side],
  abort: AbortSignal,
): Promise<void> {
  const root = h("div", { class: "ctw ctw-compare" });
  el.append(root);
  atEnd(abort, () => root.remove());
  followTheme(root, bindTrait(sides[0].store, "theme", asTheme, abort), abort);
  const names = asTexts(store.get("names"));
  const counts = store.get("_counts") as Record<"both" | "moved" | "a" | "b", number>;
  // The views own the elements that they fill: some hosts empty them first.
  const places = sides.map(() => h("div"));
  const columns = places.map((place, side) =>
    h(
      "section",
      { class: "ctw-side", "aria-label": names[side] },
      h(
        "header",
        { class: "ctw-side-header" },
        h("b", {}, names[side] ?? ""),
        h("span", { class: "ctw-muted ctw-only" }, `${formatCount(side === 0 ? counts.a : counts.b)} nodes only here`),
      ),
      place,
    ),
  );
  const moved = counts.moved > 0 ? `, ${formatCount(counts.moved)} of them at another place` : "";
  const both = h("p", { class: "ctw-muted" }, `${formatCount(counts.both + counts.moved)} nodes in both${moved}`);
  root.append(both, h("div", { class: "ctw-sides" }, ...columns));
  follow(sides, counterparts(store.get("_pairs")), abort);
  await Promise.all(sides.map((side, i) => side.mount(places[i]!, abort)));
}

/** Let each side's node in focus be the other's too; what has no counterpart leaves the other without any. */
function follow(
  [first, second]: readonly [Side, Side],
  [toSecond, toFirst]: readonly [Counterpart, Counterpart],
  abort: AbortSignal,
): void {
  let following = false;
  const watch = (from: Side, to: Side, counterpart: Counterpart, name: string): void =>
    from.store.watch(
      name,
      () => {
        if (following) return;
        const node = asNodeId(from.store.get(name));
        const there = node === null ? null : counterpart(node);
        if (JSON.stringify(there) === JSON.stringify(asNodeId(to.store.get(name)))) return;
        // The other side answers at once, and must not take this side's node away where it has none itself.
        following = true;
        to.store.set(name, there);
        following = false;
      },
      abort,
    );
  for (const name of LINKED) {
    watch(first, second, toSecond, name);
    watch(second, first, toFirst, name);
  }
}
