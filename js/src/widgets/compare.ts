/** CompareWidget in a notebook: the views of two graphs, which are widgets of their own. */

import type { AnyWidget, Host } from "@anywidget/types";
import { modelStore } from "../host/anywidget";
import { mountCompare, type Side } from "../ui/compare/view";
import "../ui/theme.css";
import "../ui/compare/compare.css";

export default {
  async render({ model, el, signal, host }) {
    const sides = await Promise.all([sideOf(host, model.get("a")), sideOf(host, model.get("b"))]);
    if (!signal.aborted) await mountCompare(el, modelStore(model), sides, signal);
  },
} satisfies AnyWidget;

async function sideOf(host: Host, reference: string): Promise<Side> {
  const [model, widget] = await Promise.all([host.getModel(reference), host.getWidget(reference)]);
  return { store: modelStore(model), mount: (el, signal) => widget.render({ el, signal }) };
}
