/**
 * Readers of what comes over the wire, out of a saved notebook or from somebody else's file: whatever it is, it becomes
 * a valid value. `readNAME` in the folders beside this file read whole objects with them.
 */

import type { ThemeSetting } from "./theme";

export type Values = Record<string, unknown>;

export const asObject = (value: unknown): Values =>
  typeof value === "object" && value !== null ? (value as Values) : {};
export const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const asText = (value: unknown): string => (typeof value === "string" ? value : "");
export const asTextOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);
export const asTexts = (value: unknown): readonly string[] =>
  asList(value).filter((text): text is string => typeof text === "string");
/** Finite, or 0. */
export const asNumber = (value: unknown): number => asNumberOrNull(value) ?? 0;
export const asNumberOrNull = (value: unknown): number | null => (Number.isFinite(value) ? (value as number) : null);
export const asIntegerOrNull = (value: unknown): number | null =>
  Number.isSafeInteger(value) ? (value as number) : null;
export const asFlag = (value: unknown): boolean => value === true;
export const asFlagOrNull = (value: unknown): boolean | null => (typeof value === "boolean" ? value : null);
/** Between 0 and 1. */
export const asShare = (value: unknown): number => (typeof value === "number" ? Math.min(1, Math.max(0, value)) : 1);
export const asTheme = (value: unknown): ThemeSetting => (value === "light" || value === "dark" ? value : "auto");

/** One of `options`; the first for anything else. */
export const oneOf =
  <T extends string>(options: readonly T[]) =>
  (value: unknown): T =>
    options.includes(value as T) ? (value as T) : options[0]!;
