/** CompareWidget in an exported page. */

import { decodeColumns } from "../core/columns";
import { readGraph } from "../core/graph";
import { Session } from "../core/session";
import { bindGraph } from "../host/graph_traits";
import { pageStore, readPageState, type Saved, traitsOf } from "../host/page";
import { mountCompare, type Side } from "../ui/compare_view";
import { mountError, mountGraph } from "../ui/graph_view";

const { signal } = new AbortController();
const place = document.getElementById("ctw-view")!;
try {
  const traits = readPageState("ctw-state");
  const sides = [sideOf(traits.get("a")), sideOf(traits.get("b"))] as const;
  void mountCompare(place, pageStore(traits), sides, signal);
} catch (error) {
  mountError(place, error instanceof Error ? error.message : String(error), signal);
}

function sideOf(saved: unknown): Side {
  const traits = traitsOf(saved as Saved);
  const store = pageStore(traits);
  const graph = readGraph(decodeColumns(traits.get("_columns") as Uint8Array));
  const session = new Session(graph, bindGraph(store, signal));
  return { store, mount: (el, abort) => mountGraph(el, session, abort) };
}
