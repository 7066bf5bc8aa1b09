import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { contrast, mix, type Palette, readPalette } from "../src/core/palette";

const css = readFileSync(new URL("../src/ui/theme.css", import.meta.url), "utf8");
const blocks = { light: /\.ctw \{([^}]*)\}/, dark: /data-ctw-theme="dark"\] \{([^}]*)\}/ };

/** The palette as a browser would compute it: dark overrides light. */
function paletteOf(theme: keyof typeof blocks): Palette {
  const text = blocks.light.exec(css)![1]! + (theme === "dark" ? blocks.dark.exec(css)![1]! : "");
  const values = new Map([...text.matchAll(/(--[\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [name!, value!]));
  return readPalette((name) => values.get(name) ?? "");
}

describe.each(["light", "dark"] as const)("theme.css, %s", (theme) => {
  const palette = paletteOf(theme);
  it("has text at 4.5:1 and marks at 3:1 on both surfaces", () => {
    for (const surface of [palette.surface, palette.raised]) {
      for (const text of [palette.ink, palette.muted, palette.positive, palette.negative]) {
        expect(contrast(text, surface)).toBeGreaterThanOrEqual(4.5);
      }
      expect(contrast(palette.accent, surface)).toBeGreaterThanOrEqual(3);
      expect(contrast(mix(palette.surface, palette.ink, 0.62), surface)).toBeGreaterThanOrEqual(3);
    }
  });
});
