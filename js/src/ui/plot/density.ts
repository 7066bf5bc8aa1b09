/**
 * The bitmap of all edges, made in slices so that no frame waits for it: strongest edges first, so that the picture
 * is nearly right from the first slice on.
 */

import type { Graph } from "../../core/graph/graph";
import { atEnd } from "../../core/lifetime";
import type { Palette } from "../../core/palette";
import type { Layout } from "../../core/plot/layout";
import { DensityRaster } from "../../core/plot/raster";
import type { Viewport } from "../../core/plot/viewport";

export interface DensityJob {
  readonly graph: Graph;
  readonly layout: Layout;
  /** Edges to draw, strongest first; asked for when drawing begins, since putting them in order takes its time. */
  readonly edges: () => Int32Array;
  readonly viewport: Viewport;
  readonly palette: Palette;
  /** Device pixels per CSS pixel. */
  readonly ratio: number;
}

const FIRST_SLICE_MS = 30;
const SLICE_MS = 5;
const EDGES_PER_CHECK = 256;
/** Above this many pixels the bitmap is coarser than the screen: it is soft anyway, and memory is not endless. */
const MOST_PIXELS = 2_400_000;
const FAINTEST_INK = 0.07;
const DARKEST_INK = 0.75;

export class Density {
  readonly bitmap = document.createElement("canvas");
  /** The window that the bitmap shows; null before there is one. */
  viewport: Viewport | null = null;
  #job: DensityJob | null = null;
  #raster = new DensityRaster(1, 1);
  #next = 0;
  #frame = 0;

  /** `presented` is called whenever the bitmap has changed. */
  constructor(
    readonly presented: () => void,
    abort: AbortSignal,
  ) {
    atEnd(abort, () => cancelAnimationFrame(this.#frame));
  }

  /** Start over with `job`; what the last job drew stays until this one has something better. */
  start(job: DensityJob): void {
    const pixels = job.layout.width * job.layout.height;
    const ratio = Math.min(job.ratio, Math.sqrt(MOST_PIXELS / pixels));
    const [width, height] = [Math.ceil(job.layout.width * ratio), Math.ceil(job.layout.height * ratio)];
    if (this.#raster.width === width && this.#raster.height === height) this.#raster.clear();
    else this.#raster = new DensityRaster(width, height);
    // Where only the window moved, the last bitmap is nearly right, and no frame need be long.
    const isMoved = this.#job?.layout === job.layout && this.#job.palette === job.palette;
    this.#job = job;
    this.#next = 0;
    cancelAnimationFrame(this.#frame);
    // Not now: nodes and text, which read at once, are drawn before.
    this.#frame = requestAnimationFrame(() => this.#continue(isMoved ? SLICE_MS : FIRST_SLICE_MS));
  }

  #continue(budget: number): void {
    const job = this.#job!;
    const edges = job.edges();
    const end = performance.now() + budget;
    while (this.#next < edges.length && performance.now() < end) {
      const stop = Math.min(edges.length, this.#next + EDGES_PER_CHECK);
      while (this.#next < stop) this.#add(job, edges[this.#next++]!);
    }
    const isDone = this.#next >= edges.length;
    if (isDone || budget > SLICE_MS) this.#present(job);
    if (!isDone) this.#frame = requestAnimationFrame(() => this.#continue(SLICE_MS));
  }

  #add({ graph, layout, viewport }: DensityJob, edge: number): void {
    const [source, target] = [graph.source[edge]!, graph.target[edge]!];
    const ratio = this.#raster.width / layout.width;
    const scale = viewport.scale * ratio;
    const [left, top] = [viewport.x * ratio, viewport.y * ratio];
    const share = graph.share[edge]!;
    const size = Math.sqrt(Math.abs(share));
    const ink = FAINTEST_INK + (DARKEST_INK - FAINTEST_INK) * size;
    this.#raster.addCurve(
      layout.x[source]! * scale + left,
      layout.y[source]! * scale + top,
      layout.x[target]! * scale + left,
      layout.y[target]! * scale + top,
      ratio * (0.7 + 1.6 * size),
      share < 0 ? -ink : ink,
    );
  }

  #present(job: DensityJob): void {
    const { width, height } = this.#raster;
    if (this.bitmap.width !== width || this.bitmap.height !== height) {
      this.bitmap.width = width;
      this.bitmap.height = height;
    }
    const context = this.bitmap.getContext("2d")!;
    const image = context.createImageData(width, height);
    this.#raster.paint(job.palette, image.data);
    context.putImageData(image, 0, 0);
    this.viewport = job.viewport;
    this.presented();
  }
}
