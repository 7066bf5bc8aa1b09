import { describe, expect, it } from "vitest";
import { idOf, type NodeId } from "../src/core/graph/graph";
import { Session } from "../src/core/graph_widget/session";
import { readPlaces, readSupernodes } from "../src/core/graph_widget/traits";
import { SMALL, sampleGraph, synced } from "./sample";

const graph = sampleGraph(SMALL);
const id = (row: number): NodeId => idOf(graph, row);

const session = (): Session => new Session(graph, synced());

describe("edits", () => {
  it("group what is pinned, name it, and go back step by step", () => {
    const view = session();
    const { edits, synced } = view;
    view.togglePin(2);
    view.togglePin(6);
    const key = view.group();
    expect(synced.supernodes.value).toEqual([["group 1", [id(2), id(6)]]]);
    const box = view.boxes.value.find((other) => other.key === key)!;
    edits.rename(box, "  sum ");
    expect(synced.supernodes.value[0]![0]).toBe("sum");
    edits.rename(view.boxes.value[0]!, "   ");
    expect(synced.supernodes.value[0]![0]).toBe("sum");
    edits.undo();
    expect(synced.supernodes.value[0]![0]).toBe("group 1");
    edits.undo();
    expect(synced.supernodes.value).toEqual([]);
    expect(synced.pinned.value).toEqual([id(2), id(6)]);
    edits.redo();
    edits.redo();
    expect(synced.supernodes.value).toEqual([["sum", [id(2), id(6)]]]);
    expect(edits.canRedo.value).toBe(false);
    edits.undo();
    view.togglePin(3);
    expect(edits.canRedo.value).toBe(false);
  });

  it("keep every node in one group, and drop groups that lose all nodes", () => {
    const view = session();
    for (const row of [2, 3, 4, 6]) view.togglePin(row);
    for (const box of view.boxes.value.slice(0, 2)) view.toggleMark(box);
    view.group();
    expect(view.marked.value.size).toBe(0);
    expect(view.boxes.value.map(({ rows }) => rows)).toEqual([[2, 3], [4], [6]]);
    for (const box of view.boxes.value.slice(0, 2)) view.toggleMark(box);
    view.group();
    expect(view.synced.supernodes.value).toEqual([["group 1", [id(2), id(3), id(4)]]]);
    view.togglePin(2);
    expect(view.synced.supernodes.value).toEqual([["group 1", [id(3), id(4)]]]);
    expect(view.pinnedRows.value).not.toContain(2);
    view.toggleMark(view.boxes.value[0]!);
    view.ungroup();
    expect(view.synced.supernodes.value).toEqual([]);
    expect(view.boxes.value.map(({ rows }) => rows)).toEqual([[3], [4], [6]]);
    view.togglePin(3);
    view.togglePin(4);
    expect(view.group()).toBeNull();
  });

  it("show members that Python grouped without pinning them, and let them go", () => {
    const view = session();
    view.synced.supernodes.value = [["mine", [id(4), id(6)]]];
    expect(view.pinnedRows.value).toEqual([4, 6]);
    expect(view.isPinned(4)).toBe(true);
    view.togglePin(4);
    view.togglePin(6);
    expect(view.synced.supernodes.value).toEqual([]);
    expect(view.synced.pinned.value).toEqual([]);
  });

  it("label single nodes and keep places", () => {
    const view = session();
    view.togglePin(6);
    const [box] = view.boxes.value;
    view.edits.rename(box!, "carry");
    expect(view.label(6)).toBe("carry");
    expect(view.synced.labels.value).toEqual({ "L1/13": "carry" });
    expect(view.boxes.value[0]!.name).toBe("carry");
    view.edits.rename(box!, "");
    expect(view.synced.labels.value).toEqual({});
    view.synced.labels.value = { [JSON.stringify(id(3))]: "own", "L0/11": "both" };
    view.edits.label(3, "new");
    view.edits.label(2, "");
    expect(view.synced.labels.value).toEqual({ [JSON.stringify(id(3))]: "new" });
    view.edits.place(box!, 0.25, 90);
    expect(view.synced.places.value).toEqual({ [box!.key]: [0.25, 90] });
    view.edits.tidy();
    expect(view.synced.places.value).toEqual({});
    view.edits.tidy();
    view.edits.undo();
    expect(view.synced.places.value).toEqual({ [box!.key]: [0.25, 90] });
  });
});

describe("snapshots", () => {
  it("keep the subgraph under a name, bring it back, and go, all of it undone", () => {
    const view = session();
    const { edits, synced } = view;
    synced.pinned.value = [id(2), id(3), id(6)];
    edits.group(view.boxes.value.slice(0, 2));
    edits.place(view.boxes.value[0]!, 0.5, 40);
    const then = [synced.pinned.value, synced.supernodes.value, synced.places.value];
    edits.saveSnapshot("before");
    edits.ungroup(view.boxes.value);
    edits.togglePin(6);
    edits.tidy();
    edits.saveSnapshot("after");
    expect(Object.keys(synced.snapshots.value)).toEqual(["before", "after"]);
    edits.restoreSnapshot("before");
    expect([synced.pinned.value, synced.supernodes.value, synced.places.value]).toEqual(then);
    edits.undo();
    expect(synced.pinned.value).toEqual([id(2), id(3)]);
    edits.deleteSnapshot("before");
    edits.restoreSnapshot("before");
    expect(Object.keys(synced.snapshots.value)).toEqual(["after"]);
    expect(synced.pinned.value).toEqual([id(2), id(3)]);
    edits.undo();
    expect(Object.keys(synced.snapshots.value)).toEqual(["before", "after"]);
  });
});

describe("traits of the subgraph", () => {
  it("are made valid", () => {
    expect(readSupernodes([["a", [id(2), "x"]], ["empty", []], "x", null, [7, [id(3)]]])).toEqual([
      ["a", [id(2)]],
      ["", [id(3)]],
    ]);
    expect(readSupernodes(undefined)).toEqual([]);
    expect(readPlaces({ a: [0.5, 3], b: [1], c: ["x", 2], d: null })).toEqual({ a: [0.5, 3] });
    expect(readPlaces(null)).toEqual({});
  });
});
