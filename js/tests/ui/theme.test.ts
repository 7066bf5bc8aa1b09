// @vitest-environment happy-dom
import { signal } from "@preact/signals-core";
import { afterEach, expect, it, vi } from "vitest";
import type { ThemeSetting } from "../../src/core/theme";
import { h } from "../../src/ui/parts/dom";
import { followTheme } from "../../src/ui/parts/theme";

afterEach(() => document.body.removeAttribute("data-jp-theme-light"));

it("follows the setting, and the page where it is automatic, until the end", async () => {
  const controller = new AbortController();
  const setting = signal<ThemeSetting>("auto");
  const root = h("div");
  document.body.dataset["jpThemeLight"] = "false";
  followTheme(root, setting, controller.signal);
  const theme = (): string | undefined => root.dataset["ctwTheme"];
  expect(theme()).toBe("dark");
  setting.value = "light";
  expect(theme()).toBe("light");
  setting.value = "auto";
  document.body.dataset["jpThemeLight"] = "true";
  await vi.waitFor(() => expect(theme()).toBe("light"));
  controller.abort();
  setting.value = "dark";
  document.body.dataset["jpThemeLight"] = "false";
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(theme()).toBe("light");
});
