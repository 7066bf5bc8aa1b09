/** A drawing as a file: SVG that needs no style sheet, and PNG made from it. */

import type { Placed } from "../plot/labels";
import { h, s } from "./dom";

/** What a style sheet says about shapes and text, written into the elements themselves. */
const STYLES = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
] as const;
/** Marks of the moment, which are no part of a figure. */
const MOMENTARY = ["ctw-box-selected", "ctw-box-hovered", "ctw-box-faded"];
/** Pixels of a PNG per pixel of the screen. */
const PNG_SCALE = 3;

/** `svg` as text of its own: styles inside, on `surface`, without what is selected or marked. */
export function standaloneSvg(svg: SVGSVGElement, surface: string): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const elements = [...copy.querySelectorAll("*")];
  for (const element of elements) {
    element.classList.remove(...MOMENTARY);
    if (element.hasAttribute("aria-pressed")) element.setAttribute("aria-pressed", "false");
  }
  // In the page, unseen, so that the style sheet applies.
  copy.style.position = "absolute";
  copy.style.visibility = "hidden";
  svg.after(copy);
  const styles = elements.map((element) => {
    const style = getComputedStyle(element);
    return STYLES.map((name) => [name, plainColor(style.getPropertyValue(name))] as const);
  });
  copy.remove();
  elements.forEach((element, i) => {
    for (const name of element.getAttributeNames())
      if (/^(class|tabindex|role|data-|aria-)/.test(name)) element.removeAttribute(name);
    if (!(element instanceof SVGTitleElement))
      for (const [name, value] of styles[i]!) element.setAttribute(name, value);
  });
  for (const name of ["style", "class", "role", "aria-label"]) copy.removeAttribute(name);
  copy.prepend(s("rect", { width: "100%", height: "100%", fill: surface }));
  return new XMLSerializer().serializeToString(copy);
}

/** Text of a view in a drawing where the parent of its element is at `origin`. */
export function textElement(
  { element, x, y, anchor, angle }: Placed,
  origin: { x: number; y: number },
): SVGTextElement {
  const style = getComputedStyle(element);
  return s(
    "text",
    {
      // Not dominant-baseline, which few programs know.
      transform: `translate(${origin.x + x} ${origin.y + y}) rotate(${angle}) translate(0 4)`,
      "text-anchor": anchor,
      fill: style.color,
      "font-family": style.fontFamily,
      "font-size": style.fontSize,
      "font-weight": style.fontWeight,
    },
    element.textContent ?? "",
  );
}

/** Give the browser the drawing `svg` as a file of its own, or as a picture of it. */
export async function save(svg: string, kind: "svg" | "png", name: string): Promise<void> {
  download(kind === "svg" ? new Blob([svg], { type: "image/svg+xml" }) : await pngOf(svg), `${name}.${kind}`);
}

/** `color(srgb 0.5 0 1)`, as browsers give mixed colours, in the form that every program reads. */
function plainColor(value: string): string {
  const parts = /^color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)\)$/.exec(value)?.slice(1);
  return parts ? `rgb(${parts.map((part) => Math.round(Number(part) * 255)).join(", ")})` : value;
}

/** The picture that `svg` text draws, as PNG. */
export async function pngOf(svg: string): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = h("canvas", { width: image.width * PNG_SCALE, height: image.height * PNG_SCALE });
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("too large for a PNG")))),
  );
}

/** Give the browser a file to keep. */
export function download(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
