/** Tips: what `data-tip` of an element says, in a small card beside it. */

import { h, on } from "./dom";

/** Show in `root` the tip of what is under the pointer in `content`; returns a function that does so for any element. */
export function createTips(
  root: HTMLElement,
  content: HTMLElement,
  abort: AbortSignal,
): (target: Element | null) => void {
  const tooltip = h("div", { class: "ctw-tooltip", hidden: true, role: "tooltip" });
  root.append(tooltip);
  const show = (target: Element | null): void => {
    const text = target?.getAttribute("data-tip") ?? "";
    tooltip.hidden = text === "";
    if (!target || text === "") return;
    tooltip.textContent = text;
    const [box, at] = [root.getBoundingClientRect(), target.getBoundingClientRect()];
    const left = Math.max(0, at.left - box.left + at.width / 2);
    const isLow = at.top - box.top > tooltip.offsetHeight + 4;
    const top = isLow ? `calc(${at.top - box.top - 4}px - 100%)` : `${at.bottom - box.top + 4}px`;
    tooltip.style.transform = `translate(clamp(0px, calc(${left}px - 50%), calc(${box.width}px - 100%)), ${top})`;
  };
  const over = (event: Event): void => show((event.target as Element).closest("[data-tip]"));
  on(content, "pointerover", over, abort);
  on(content, "pointerleave", () => show(null), abort);
  return show;
}
