/** Light or dark: what the user asked for, else what the page around the widget says, else what the system prefers. */

export type ThemeSetting = "auto" | "light" | "dark";
export type Theme = "light" | "dark";

/** What there is to see of the surroundings: attributes of `html` and `body`, and the system's preference. */
export interface Surroundings {
  readonly attribute: (name: string) => string | null;
  readonly classes: ReadonlySet<string>;
  readonly prefersDark: boolean;
}

/** Attributes and classes by which hosts announce their theme, for those who watch them change. */
export const THEME_ATTRIBUTES = ["class", "data-jp-theme-light", "data-vscode-theme-kind", "data-theme", "theme"];

export function decideTheme(setting: ThemeSetting, around: Surroundings): Theme {
  if (setting !== "auto") return setting;
  const jupyter = around.attribute("data-jp-theme-light");
  if (jupyter !== null) return jupyter === "false" ? "dark" : "light";
  const code = around.attribute("data-vscode-theme-kind");
  if (code !== null) return code.includes("light") ? "light" : "dark";
  const named = around.attribute("data-theme") ?? around.attribute("theme");
  if (named === "dark" || named === "light") return named;
  if (around.classes.has("dark") || around.classes.has("vscode-dark")) return "dark";
  if (around.classes.has("light") || around.classes.has("vscode-light")) return "light";
  return around.prefersDark ? "dark" : "light";
}
