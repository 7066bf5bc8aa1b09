/** Method, range of layers and attention: they change the answer, so they stand above it. */

import { batch } from "@preact/signals-core";
import { formatNumber } from "../../core/format";
import { live } from "../../core/lifetime";
import type { PerturbationSession } from "../../core/perturbation/session";
import { h, on } from "../parts/dom";

const METHODS: readonly (readonly [value: string, text: string, title: string])[] = [
  [
    "constrained",
    "constrained patching",
    "MLP outputs of the range are clamped to what they were plus what the changed features write",
  ],
  ["iterative", "iterative patching", "Features of the range are encoded again under the change, so effects cascade"],
  ["open", "open-ended steering", "The change is added and everything runs, attention too"],
];

export function createSettings(session: PerturbationSession, abort: AbortSignal): HTMLElement {
  const { synced, graph } = session;
  const options = METHODS.map(([value, text, title]) => h("option", { value, title }, text));
  const method = h("select", { class: "ctw-field", "aria-label": "method" }, ...options);
  const layers = Array.from({ length: graph.nLayers }, (_, layer) => h("option", { value: layer }, `0 to ${layer}`));
  const automatic = h("option", { value: "" }, "auto");
  const last = h("select", { class: "ctw-field", "aria-label": "layers" }, automatic, ...layers);
  const frozen = h("input", { type: "checkbox" });
  const norms = h("span", { class: "ctw-muted" });
  for (const control of [method, last, frozen]) control.disabled = session.grid !== null;
  const choose = (): void => {
    const chosen = method.value;
    batch(() => {
      synced.freezeAttention.value = null; // every method has its own default
      synced.method.value = chosen;
    });
  };
  on(method, "change", choose, abort);
  on(last, "change", () => (synced.lastLayer.value = last.value === "" ? null : Number(last.value)), abort);
  on(frozen, "change", () => (synced.freezeAttention.value = frozen.checked), abort);
  live(abort, () => {
    const answer = session.answer.value;
    method.value = synced.method.value;
    last.value = synced.lastLayer.value === null ? "" : String(synced.lastLayer.value);
    last.disabled = session.grid !== null || synced.method.value === "open";
    automatic.textContent = answer && answer.method !== "open" ? `auto: 0 to ${answer.layers[1]}` : "auto";
    frozen.checked = synced.freezeAttention.value ?? synced.method.value !== "open";
    const all = answer?.method === "constrained" && answer.frozenAttention && answer.layers[1] === graph.nLayers - 1;
    const took = session.grid ? "computed beforehand" : answer?.ms ? `model ${formatNumber(answer.ms, 2)} ms` : "";
    norms.textContent = `${all ? "norms frozen: the range holds all layers" : "norms live"}${took && ` · ${took}`}`;
  });
  return h(
    "div",
    { class: "ctw-settings ctw-p-settings" },
    h("label", {}, "method ", method),
    h("label", { title: "First and last layer whose MLP outputs are held" }, "layers ", last),
    h("label", { title: "Hold attention patterns as they were" }, frozen, " frozen attention"),
    norms,
  );
}
