import type { AnyModel } from "@anywidget/types";
import { afterEach, expect, it, vi } from "vitest";
import { prompt } from "../src/host/anywidget";

/** A model that keeps what is sent; `status` is what ipywidgets would tell of the kernel, `answered` an answer's come. */
function recorded() {
  const sent: unknown[] = [];
  const changed: (() => void)[] = [];
  let status = (_state: string): void => {};
  const model = {
    get: () => null,
    set: () => {},
    send: (content: unknown) => sent.push(content),
    on: (_event: string, callback: () => void) => changed.push(callback),
    off: (_event: string, callback: () => void) => changed.splice(changed.indexOf(callback), 1),
    save_changes: (callbacks?: { iopub: { status(message: object): void } }) => {
      sent.push("state");
      status = (execution_state) => callbacks?.iopub.status({ content: { execution_state } });
    },
  };
  return {
    model: model as unknown as AnyModel,
    sent,
    changed,
    status: (state: string) => status(state),
    answered: () => {
      for (const callback of changed) callback();
    },
  };
}

/** A document whose page was configured so. */
function configured(text: string | null): void {
  vi.stubGlobal("document", { getElementById: () => text && { textContent: text } });
}

afterEach(() => vi.unstubAllGlobals());

it.each([null, "{}", "null", "no JSON", '{"ctWidgetsAtOnce": "true"}'])(
  "acknowledges what a server would hold back, in a page that says %s",
  (text) => {
    configured(text);
    const abort = new AbortController();
    const { model, sent, changed, status, answered } = recorded();
    prompt(model, "_answer", abort.signal)();
    status("busy");
    answered();
    status("idle");
    expect(sent).toEqual(["state", {}, {}]);
    abort.abort();
    expect(changed).toEqual([]);
  },
);

it("sends nothing but the state where the server holds nothing back", () => {
  configured('{"ctWidgetsAtOnce": true}');
  const { model, sent, status, answered } = recorded();
  prompt(model, "_answer", new AbortController().signal)();
  status("busy");
  answered();
  expect(sent).toEqual(["state"]);
});
