/** GraphWidget in an exported page: the same view over data that the page carries. */

import { decodeColumns } from "../core/columns";
import { readGraph } from "../core/graph";
import { Session } from "../core/session";
import { bindGraph } from "../host/graph_traits";
import { pageStore, readPageState } from "../host/page";
import { mountError, mountGraph } from "../ui/graph_view";

const { signal } = new AbortController();
const place = document.getElementById("ctw-view")!;
try {
  const traits = readPageState("ctw-state");
  const graph = readGraph(decodeColumns(traits.get("_columns") as Uint8Array));
  mountGraph(place, new Session(graph, bindGraph(pageStore(traits), signal)), signal);
} catch (error) {
  mountError(place, error instanceof Error ? error.message : String(error), signal);
}
