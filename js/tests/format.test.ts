import { describe, expect, it } from "vitest";
import {
  formatCount,
  formatDensity,
  formatFraction,
  formatNumber,
  formatShare,
  formatUnit,
  formatWeight,
  visibleToken,
} from "../src/core/format";
import { contrast, mix, parseColor } from "../src/core/palette";
import { decideTheme } from "../src/core/theme";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [3.214, "3.21"],
    [999.9, "1000"],
    [-12.345, "−12.3"],
    [123_456, "1.2e5"],
    [0.000_012, "1.2e−5"],
    [Number.NaN, "n/a"],
    [Number.NEGATIVE_INFINITY, "−∞"],
  ])("formatNumber(%f) is %s", (value, text) => expect(formatNumber(value)).toBe(text));

  it.each([
    [0.612, ".61"],
    [1, "1"],
    [0, ".00"],
    [0.9999, ">.99"],
    [0.0001, "<.01"],
    [0.994, ".99"],
  ])("formatUnit(%f) is %s", (value, text) => expect(formatUnit(value)).toBe(text));

  it("writes weights with their sign and shares in percent", () => {
    expect([0.412, -0.05, 0, 12.3].map(formatWeight)).toEqual(["+.41", "−.050", "0", "+12"]);
    expect([0.0047, 1.26].map(formatFraction)).toEqual([".0047", "1.3"]);
    expect([0.41, 0.032, 0.0001, 0].map(formatShare)).toEqual(["41 %", "3.2 %", "< 0.1 %", "0 %"]);
    expect([0.41, 0.032, 0.00042, 0.0000007, 0].map(formatDensity)).toEqual([
      "41 %",
      "3.2 %",
      "0.042 %",
      "7e−5 %",
      "0 %",
    ]);
    expect(formatCount(90_312)).toBe("90,312");
  });
});

describe("visibleToken", () => {
  it.each([
    [" of", "of"],
    ["  ", "␣␣"],
    ["\n\n", "⏎⏎"],
    ["", "∅"],
    ["a\u202eb", "aU+202Eb"],
    ["\u0000", "U+0000"],
    ["<img src=x>", "<img src=x>"],
  ])("%j reads %s", (token, text) => expect(visibleToken(token)).toBe(text));

  it("cuts long tokens between characters", () => {
    expect(visibleToken("x".repeat(10_000))).toHaveLength(41);
    expect(visibleToken("😀".repeat(9), 5)).toBe("😀😀…");
  });
});

describe("palette and theme", () => {
  it("parses, mixes and measures colours", () => {
    expect(parseColor(" #1B7837")).toEqual([27, 120, 55]);
    expect(mix([0, 0, 0], [200, 100, 0], 0.5)).toEqual([100, 50, 0]);
    expect(contrast([255, 255, 255], [0, 0, 0])).toBeCloseTo(21);
  });

  const around = (attributes: Record<string, string>, classes: string[] = [], prefersDark = false) => ({
    attribute: (name: string) => attributes[name] ?? null,
    classes: new Set(classes),
    prefersDark,
  });
  it.each([
    ["the trait", "light", around({ "data-jp-theme-light": "false" }), "light"],
    ["JupyterLab before the system", "auto", around({ "data-jp-theme-light": "true" }, [], true), "light"],
    ["JupyterLab, dark", "auto", around({ "data-jp-theme-light": "false" }), "dark"],
    ["VS Code", "auto", around({ "data-vscode-theme-kind": "vscode-dark" }), "dark"],
    [
      "VS Code, high contrast light",
      "auto",
      around({ "data-vscode-theme-kind": "vscode-high-contrast-light" }, [], true),
      "light",
    ],
    ["a class", "auto", around({}, ["dark"]), "dark"],
    ["a named theme", "auto", around({ theme: "dark" }), "dark"],
    ["the system", "auto", around({}, [], true), "dark"],
    ["nothing", "auto", around({}), "light"],
  ] as const)("follows %s", (_, setting, surroundings, theme) => {
    expect(decideTheme(setting, surroundings)).toBe(theme);
  });
});
