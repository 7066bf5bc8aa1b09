import { describe, expect, it, vi } from "vitest";
import { asNodeId, type NodeId } from "../src/core/graph/graph";
import { Session } from "../src/core/graph_widget/session";
import { asNodeIds, readLabels, readSnapshots } from "../src/core/graph_widget/traits";
import { asShare, asTheme } from "../src/core/read_trait";
import { bindTrait, type TraitStore } from "../src/core/traits";
import { bindGraph } from "../src/host/graph_traits";
import { pageStore } from "../src/host/page";
import { SMALL, sampleGraph, synced } from "./sample";

const FEATURE: NodeId = ["feature", 1, 1, 13];
const ERROR: NodeId = ["error", 0, 1, -1];

describe("Session", () => {
  it("shows what was asked for, whatever the thresholds", () => {
    const session = new Session(sampleGraph(SMALL), synced({ nodeThreshold: 0.1 }));
    expect(session.visible.value[5]).toBe(0);
    session.select(5);
    expect(session.synced.selected.value).toEqual(ERROR);
    expect(session.visible.value[5]).toBe(1);
    session.select(null);
    session.togglePin(5);
    expect(session.visible.value[5]).toBe(1);
    session.togglePin(5);
    expect(session.visible.value[5]).toBe(0);
  });

  it("describes the hovered node, but not while a list is read", () => {
    const session = new Session(sampleGraph(SMALL), synced({ selected: FEATURE }));
    expect(session.described.value).toBe(6);
    session.hover(2);
    expect(session.described.value).toBe(2);
    session.hoversList.value = true;
    expect(session.described.value).toBe(6);
  });

  it("knows no row for a node that is not in the data", () => {
    const session = new Session(sampleGraph(SMALL), synced({ selected: ["feature", 0, 0, 777], pinned: [FEATURE] }));
    expect(session.selectedRow.value).toBeNull();
    expect(session.pinnedRows.value).toEqual([6]);
  });
});

describe("readers of traits", () => {
  it("makes valid values of anything", () => {
    expect(asNodeIds([FEATURE, "x", [1]])).toEqual([FEATURE]);
    expect(asNodeIds("feature")).toEqual([]);
    expect(readLabels({ a: "b", c: 1 })).toEqual({ a: "b" });
    expect(readLabels(null)).toEqual({});
    const kept = { pinned: [FEATURE, 3], supernodes: [["a", [ERROR]], 4], places: { x: [1, 2], y: "z" } };
    expect(readSnapshots({ mine: kept, broken: null })).toEqual({
      mine: { pinned: [FEATURE], supernodes: [["a", [ERROR]]], places: { x: [1, 2] } },
      broken: { pinned: [], supernodes: [], places: {} },
    });
    expect(readSnapshots(7)).toEqual({});
    expect([asShare(7), asShare(-1), asShare("x")]).toEqual([1, 0, 1]);
    expect([asTheme("dark"), asTheme("<b>")]).toEqual(["dark", "auto"]);
  });
});

describe("bindTrait", () => {
  it("carries values both ways, once", () => {
    const store = pageStore(new Map<string, unknown>([["selected", FEATURE]]));
    const set = vi.spyOn(store, "set");
    const { signal: abort } = new AbortController();
    const bound = bindTrait(store, "selected", asNodeId, abort);
    expect(bound.value).toEqual(FEATURE);
    expect(set).not.toHaveBeenCalled();
    bound.value = ERROR;
    expect(store.get("selected")).toEqual(ERROR);
    bound.value = [...ERROR];
    expect(set).toHaveBeenCalledTimes(1);
    store.set("selected", null);
    expect(bound.value).toBeNull();
    expect(set).toHaveBeenCalledTimes(2);
  });

  it("lets go of everything on abort", () => {
    let watchers = 0;
    const traits = new Map<string, unknown>();
    const store: TraitStore = {
      get: (name) => traits.get(name),
      set: vi.fn(),
      watch: (_, __, abort) => {
        watchers++;
        abort.addEventListener("abort", () => watchers--);
      },
    };
    const controller = new AbortController();
    const bound = bindGraph(store, controller.signal);
    expect(watchers).toBe(14);
    controller.abort();
    expect(watchers).toBe(0);
    bound.nodeThreshold.value = 0.3;
    expect(store.set).not.toHaveBeenCalled();
  });
});
