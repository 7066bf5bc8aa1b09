/** The traits of GraphWidget: what a person and Python both see and set, and how each is read. */

import type { ReadonlySignal, Signal } from "@preact/signals-core";
import type { Labels } from "../graph/describe";
import { asNodeId, type NodeId } from "../graph/graph";
import type { Supernode } from "../graph/subgraph";
import type { Places } from "../plot/box_layout";
import { asList, asObject, asText } from "../read_trait";
import type { ThemeSetting } from "../theme";
import type { Snapshots } from "./edits";

/** Signals that are traits in Python. */
export interface Synced {
  readonly selected: Signal<NodeId | null>;
  readonly hovered: Signal<NodeId | null>;
  readonly pinned: Signal<readonly NodeId[]>;
  readonly supernodes: Signal<readonly Supernode[]>;
  readonly labels: Signal<Labels>;
  readonly places: Signal<Places>;
  readonly snapshots: Signal<Snapshots>;
  readonly nodeThreshold: Signal<number>;
  readonly edgeThreshold: Signal<number>;
  /** The nodes between which paths are shown: none, the first, or both. */
  readonly pathEnds: Signal<readonly NodeId[]>;
  /** Null before anybody asked. */
  readonly suggestions: Signal<readonly Suggestion[] | null>;
  /** References of the widgets in the side panel. */
  readonly panels: ReadonlySignal<readonly string[]>;
  /** Nodes that the graph beside this one does not have. */
  readonly unmatched: ReadonlySignal<readonly NodeId[]>;
  readonly theme: Signal<ThemeSetting>;
}

/** A group that Python holds for worth a supernode. */
export interface Suggestion {
  readonly name: string;
  readonly nodes: readonly NodeId[];
  readonly reason: string;
}

export const asNodeIds = (value: unknown): readonly NodeId[] =>
  asList(value)
    .map(asNodeId)
    .filter((id) => id !== null);

export const readLabels = (value: unknown): Labels =>
  Object.fromEntries(Object.entries(asObject(value)).filter((entry) => typeof entry[1] === "string")) as Labels;

export const readSupernodes = (value: unknown): readonly Supernode[] =>
  asList(value)
    .map((group): Supernode => [asText(asList(group)[0]), asNodeIds(asList(group)[1])])
    .filter(([, members]) => members.length > 0);

export const readPlaces = (value: unknown): Places =>
  Object.fromEntries(
    Object.entries(asObject(value)).filter(
      ([, place]) => Array.isArray(place) && place.length === 2 && place.every(Number.isFinite),
    ),
  ) as Places;

export const readSnapshots = (value: unknown): Snapshots =>
  Object.fromEntries(
    Object.entries(asObject(value)).map(([name, kept]) => {
      const { pinned, supernodes, places } = asObject(kept);
      return [name, { pinned: asNodeIds(pinned), supernodes: readSupernodes(supernodes), places: readPlaces(places) }];
    }),
  );

export const readSuggestions = (value: unknown): readonly Suggestion[] | null => (Array.isArray(value) ? value : null);
