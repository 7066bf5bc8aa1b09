// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { connectionList, linkRows, rowList, strengthRow } from "../../src/ui/graph/connection_list";
import { h } from "../../src/ui/parts/dom";
import { SMALL } from "../sample";
import { HOSTILE, point, sampleSession } from "./support";

const texts = (section: HTMLElement, selector: string): string[] =>
  [...section.querySelectorAll(selector)].map((element) => element.textContent);

it("lists inputs by the strength of their share, with sign, weight and share", () => {
  const section = connectionList(sampleSession(), 6, "inputs");
  expect(section.querySelector("h4")!.textContent).toBe("inputs 4");
  expect(texts(section, ".ctw-name .ctw-mono:first-child")).toEqual(["L0/11", "L0/12", "error L0", "L0/11"]);
  expect(texts(section, ".ctw-weight")).toEqual(["+.80", "+.60", "+.40", "−.20"]);
  expect(texts(section, ".ctw-share")).toEqual(["40 %", "30 %", "20 %", "10 %"]);
  const bars = [...section.querySelectorAll<HTMLElement>(".ctw-bar")].map(({ style }) =>
    Number.parseFloat(style.width),
  );
  expect(bars.map((width) => Math.round(10 * width))).toEqual([500, 375, 250, 125]);
  expect(section.querySelectorAll(".ctw-negative")).toHaveLength(1);
});

it("says how much of the input the data hold where some is missing", () => {
  const edges = SMALL.edges.filter(([target, source]) => target !== 6 || source === 2);
  const section = connectionList(sampleSession({}, { ...SMALL, edges }), 6, "inputs");
  expect(section.querySelector("h4")!.textContent).toBe("inputs 1, 40 % of input");
});

it("says that there are none", () => {
  const section = connectionList(sampleSession(), 5, "inputs");
  expect(section.querySelector("p")!.textContent).toBe("no inputs");
});

it("marks nodes that pruning hides", () => {
  const section = connectionList(sampleSession({ nodeThreshold: 0.1 }), 6, "inputs");
  const hidden = section.querySelector(".ctw-hidden-node")!;
  expect(hidden.getAttribute("title")).toContain("hidden by pruning, click to show");
});

it("shows names, labels and tokens as text", () => {
  const nodes = SMALL.nodes.map((node) => (node.token === "b" ? { ...node, token: HOSTILE } : node));
  const session = sampleSession({ labels: { "L0/12": HOSTILE } }, { ...SMALL, nodes, tokens: ["a", HOSTILE] });
  for (const row of [4, 6]) {
    const section = connectionList(session, row, "inputs");
    expect(section.textContent).toContain("<img");
    expect(section.querySelector("img")).toBeNull();
  }
});

it("hovers and selects the node of a row, and nothing after the end", () => {
  const session = sampleSession({ selected: ["feature", 1, 1, 13] });
  const controller = new AbortController();
  const list = h("div", {}, connectionList(session, 6, "inputs"));
  linkRows(list, session, controller.signal);
  const row = list.querySelector<HTMLElement>('[data-row="2"]')!;
  point(row, "pointerover");
  expect([session.hoveredRow.value, session.hoversList.value, session.described.value]).toEqual([2, true, 6]);
  point(list, "pointerleave");
  expect([session.hoveredRow.value, session.hoversList.value]).toEqual([null, false]);
  row.click();
  expect([session.selectedRow.value, session.described.value]).toEqual([2, 2]);
  controller.abort();
  list.querySelector<HTMLElement>('[data-row="4"]')!.click();
  expect(session.selectedRow.value).toBe(2);
});

it("has rows only near what is in sight of a long list", () => {
  const scroller = h("div");
  const list = rowList(scroller, 1_000, (place) => h("li", { "data-row": place }, String(place)));
  scroller.append(list);
  expect([list.childElementCount, list.firstElementChild!.textContent]).toEqual([60, "0"]);
  expect(list.style.height).toBe("20000px");
  scroller.scrollTop = 8_000;
  scroller.onscroll!(new Event("scroll"));
  expect([list.childElementCount, list.firstElementChild!.textContent, list.style.paddingTop]).toEqual([
    60,
    "390",
    "7800px",
  ]);
  scroller.scrollTop = 20_000;
  scroller.onscroll!(new Event("scroll"));
  expect(list.lastElementChild!.textContent).toBe("999");
});

it("lists nodes with their influence, and logits with their probability", () => {
  const session = sampleSession();
  expect(strengthRow(session, 6).querySelector(".ctw-weight")!.textContent).toBe(".60");
  expect(strengthRow(session, 7).querySelector(".ctw-weight")!.textContent).toBe(".90");
});
