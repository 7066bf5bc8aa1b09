/** Text typed in place: an input over what it changes. Enter and leaving it keep the text, Escape does not. */

import { h, on } from "./dom";

export interface EditText {
  readonly text: string;
  /** What is edited, for screen readers. */
  readonly name: string;
  /** Called once, with null where the edit was given up. */
  readonly done: (text: string | null) => void;
}

const LONGEST = 200;

/** An input that ends with the edit or with `abort`; the caller places it, then focuses it by `start`. */
export function editText(
  { text, name, done }: EditText,
  abort: AbortSignal,
): { input: HTMLInputElement; start(): void } {
  const input = h("input", { type: "text", class: "ctw-edit", "aria-label": name, maxlength: LONGEST });
  input.value = text;
  let isOpen = true;
  const end = (value: string | null): void => {
    if (!isOpen) return;
    isOpen = false;
    input.remove();
    done(value);
  };
  const key = (event: KeyboardEvent): void => {
    // The notebook has other plans for these keys.
    event.stopPropagation();
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    end(event.key === "Enter" ? input.value : null);
  };
  on(input, "keydown", key, abort);
  on(input, "blur", () => end(input.value), abort);
  return {
    input,
    start: () => {
      input.focus();
      input.select();
    },
  };
}
