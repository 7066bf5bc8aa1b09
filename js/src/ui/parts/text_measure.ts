/** Widths of texts, measured on a canvas, which does not make the browser lay out. */

export type Measure = (text: string) => number;

/** Width of text in the font of the labels, or in another size (and weight) and family of `element`. */
export function textMeasure(element: HTMLElement, size = "11px", family = "--ctw-mono"): Measure {
  const context = document.createElement("canvas").getContext("2d")!;
  const known = new Map<string, number>();
  return (text) => {
    let width = known.get(text);
    if (known.size === 0) context.font = `${size} ${getComputedStyle(element).getPropertyValue(family)}`;
    if (width === undefined) {
      width = context.measureText(text).width;
      known.set(text, width);
    }
    return width;
  };
}
