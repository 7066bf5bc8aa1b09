/** Keeps a root element in the theme of the page around it and hands its palette to canvases. */

import { type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { atEnd, live } from "../../core/lifetime";
import { type Palette, readPalette } from "../../core/palette";
import { decideTheme, THEME_ATTRIBUTES, type ThemeSetting } from "../../core/theme";
import { on } from "./dom";

/** Set `data-ctw-theme` on `root` and return the palette of theme.css that it selects, until `abort`. */
export function followTheme(
  root: HTMLElement,
  setting: Signal<ThemeSetting>,
  abort: AbortSignal,
): ReadonlySignal<Palette> {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const page = [document.documentElement, document.body];
  const around = signal(0);
  const changed = (): void => void around.value++;
  on(system, "change", changed, abort);
  const observer = new MutationObserver(changed);
  for (const element of page) observer.observe(element, { attributeFilter: THEME_ATTRIBUTES });
  atEnd(abort, () => observer.disconnect());

  const apply = (): Palette => {
    root.dataset["ctwTheme"] = decideTheme(setting.value, {
      attribute: (name) => page.map((element) => element.getAttribute(name)).find((value) => value !== null) ?? null,
      classes: new Set(page.flatMap((element) => [...element.classList])),
      prefersDark: system.matches,
    });
    const style = getComputedStyle(root);
    return readPalette((property) => style.getPropertyValue(property));
  };
  const palette = signal(apply());
  live(abort, () => {
    around.value;
    const next = apply();
    if (JSON.stringify(next) !== JSON.stringify(palette.peek())) palette.value = next;
  });
  return palette;
}
