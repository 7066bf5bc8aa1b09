import { signal } from "@preact/signals-core";
import { describe, expect, it } from "vitest";
import { activationOf, type Card, placeInBins, readCard, sectionName } from "../src/core/examples/card";
import { ExamplesSession } from "../src/core/examples/session";
import { tint, visibleText } from "../src/core/examples/tinted";
import { asFlag, asIntegerOrNull, asText, asTextOrNull } from "../src/core/read_trait";

const CARD = {
  feature: "L2/7",
  position: 3,
  label: { text: "sum", origin: "model", model: "judge" },
  guess: { text: "numbers", reason: "9 of 9" },
  promotes: [["95", 1.5]],
  suppresses: [],
  drives: [["=", 0.5]],
  spaced: true,
  activation: 1.25,
  missing: "",
  count: 9,
  tokens: 100,
  density: 0.09,
  maximum: 2.5,
  histogram: { counts: [4, 0, 5], edges: [null, 1, 1.25, 2.5] },
  sections: [
    {
      share: [0.75, 1],
      low: 1,
      high: 2.5,
      examples: [
        {
          pieces: [
            ["a", [0]],
            ["é", [1, 2.5]],
          ],
          peak: 1,
          position: 4,
          text: 17,
        },
      ],
    },
  ],
};

describe("readCard", () => {
  it("reads what Python makes", () => {
    const card = readCard(CARD)!;
    expect(card.statistics!.sections[0]!.examples[0]).toEqual({
      pieces: [
        { text: "a", activations: [0] },
        { text: "é", activations: [1, 2.5] },
      ],
      peak: 1,
      position: 4,
      text: 17,
    });
    expect(activationOf(card.statistics!.sections[0]!.examples[0]!.pieces[1]!)).toBe(2.5);
    expect(card.statistics!.histogram.edges).toEqual([null, 1, 1.25, 2.5]);
    expect(card.label).toEqual({ text: "sum", origin: "model", model: "judge" });
    expect(sectionName(card.statistics!.sections[0]!)).toBe("75–100 % of contexts");
    expect(sectionName({ ...card.statistics!.sections[0]!, share: null })).toBe("top");
  });

  it("takes cards without statistics, and nothing that is no card", () => {
    const card = readCard({ feature: "L0/1", missing: "no examples" })!;
    expect(card.statistics).toBeNull();
    expect([card.label, card.guess, card.activation, card.missing]).toEqual([null, null, null, "no examples"]);
    for (const other of [null, 3, "x", [], {}, { feature: 5 }, { feature: "" }]) expect(readCard(other)).toBeNull();
  });

  it("does not believe what a saved notebook says", () => {
    const card = readCard({
      ...CARD,
      density: "<b>",
      label: { text: 3 },
      promotes: "x",
      histogram: { counts: ["1", Number.NaN, 2], edges: 7 },
      sections: [{ examples: [{ pieces: [[{}, "x"]], peak: 99 }, { pieces: [] }] }, 5],
    })!;
    expect(card.statistics!.density).toBe(0);
    expect(card.label).toBeNull();
    expect(card.promotes).toEqual([]);
    expect(card.statistics!.histogram).toEqual({ counts: [0, 0, 2], edges: [null, null, null, null] });
    expect(card.statistics!.sections[0]!.examples).toEqual([
      { pieces: [{ text: "", activations: [] }], peak: 0, position: 0, text: 0 },
    ]);
  });
});

describe("placeInBins", () => {
  const histogram = { counts: [4, 0, 5], edges: [1, 2, 4, 8] };
  it("is the place on an axis of equal bars", () => {
    expect([1, 1.5, 2, 3, 7].map((value) => placeInBins(histogram, value))).toEqual([0, 0.5, 1, 1.5, 2.75]);
  });
  it("stays inside, and in the middle of open bins", () => {
    expect([0.1, 9].map((value) => placeInBins(histogram, value))).toEqual([0, 3]);
    expect(placeInBins({ counts: [1, 1], edges: [null, 1, null] }, 5)).toBe(1.5);
    expect(placeInBins({ counts: [1, 1], edges: [null, 1, null] }, 0.2)).toBe(0.5);
  });
});

describe("visibleText", () => {
  it("keeps the spaces of running text and shows all others", () => {
    expect(visibleText(" cat")).toBe(" cat");
    expect(visibleText("a b")).toBe("a b");
    expect(visibleText(" ")).toBe("␣");
    expect(visibleText("  cat")).toBe("␣␣cat");
    expect(visibleText("\n\t")).toBe("⏎⇥");
    expect(visibleText("a\u00a0b")).toBe("a␣b");
    expect(visibleText("")).toBe("∅");
  });
  it("disarms what hides or reorders text, and leaves characters whole", () => {
    expect(visibleText("a\u202eb\u0000")).toBe("aU+202EbU+0000");
    expect(visibleText("é😀猫")).toBe("é😀猫");
  });
});

describe("tint", () => {
  it("is the part of the maximum", () => {
    expect([tint(1, 4), tint(9, 4), tint(-1, 4), tint(1, 0), tint(Number.NaN, 1)]).toEqual([0.25, 1, 0, 0, 0]);
  });
});

describe("ExamplesSession", () => {
  const make = () => {
    const card = signal<Card | null>(null);
    const [feature, position] = [signal(""), signal<number | null>(null)];
    const session = new ExamplesSession({
      feature,
      position,
      label: signal<string | null>(null),
      card,
      compact: signal(true),
      theme: signal("auto"),
    });
    const answer = (name: string, at: number | null): void => {
      card.value = readCard({ ...CARD, feature: name, position: at });
    };
    return { session, feature, position, answer };
  };

  it("shows an answer to the last wish only", () => {
    const { session, feature, answer } = make();
    feature.value = "L0/1";
    expect(session.shown.value).toBeNull();
    feature.value = "L0/2";
    answer("L0/1", null);
    expect(session.shown.value).toBeNull();
    answer("L0/2", null);
    expect(session.shown.value!.feature).toBe("L0/2");
  });

  it("keeps cards, also those that came late", () => {
    const { session, feature, position, answer } = make();
    feature.value = "L0/1";
    answer("L0/1", null);
    expect(session.shown.value!.feature).toBe("L0/1");
    feature.value = "L0/2";
    answer("L0/2", null);
    expect(session.shown.value!.feature).toBe("L0/2");
    feature.value = "L0/1";
    expect(session.shown.value!.feature).toBe("L0/1");
    position.value = 4;
    expect(session.shown.value).toBeNull();
  });

  it("forgets the oldest of many", () => {
    const { session, feature, answer } = make();
    for (let i = 0; i <= 200; i++) {
      feature.value = `L0/${i}`;
      answer(`L0/${i}`, null);
      expect(session.shown.value!.feature).toBe(`L0/${i}`);
    }
    feature.value = "L0/0";
    expect(session.shown.value).toBeNull();
    feature.value = "L0/1";
    expect(session.shown.value!.feature).toBe("L0/1");
  });
});

describe("readers of its traits", () => {
  it("make valid values of anything", () => {
    const [feature, position, label, compact] = [asText, asIntegerOrNull, asTextOrNull, asFlag];
    expect([feature(3), position(1.5), position(2), label(0), compact("yes")]).toEqual(["", null, 2, null, false]);
  });
});
