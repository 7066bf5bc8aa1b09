/**
 * What a perturbation view knows: its boxes, the answers that the model gave, and what the graph predicts meanwhile
 * (the same formulas as `ct_widgets/interventions/prediction.py`).
 */

import { asNodeId, FEATURE, type Graph, LOGIT, type NodeId, rowOf, weightOf } from "../graph/graph";
import type { Box } from "../graph/subgraph";
import type { Strengths } from "./strength";

/** A box of the figure; `features` are the rows that its slider changes. */
export interface PerturbationBox extends Box {
  readonly features: readonly number[];
  /** Its features as ids, those that the data were too small for among them. */
  readonly ids: readonly NodeId[];
}

export interface Output {
  readonly id: number;
  readonly token: string;
  readonly before: number;
  readonly after: number;
  /** Places among all tokens, from 0. */
  readonly rankBefore: number;
  readonly rankAfter: number;
}

/** What the model gives for one setting of the strengths. */
export interface Answer {
  readonly strengths: Strengths;
  readonly method: string;
  readonly layers: readonly [first: number, last: number];
  readonly frozenAttention: boolean;
  /** Share of the initial activity by box; null where there was none. */
  readonly activity: Readonly<Record<string, number | null>>;
  readonly outputs: readonly Output[];
  /** Time that the model took; 0 for an answer that was kept. */
  readonly ms: number;
}

/** Logits of some tokens while the strength of one box goes through `values`. */
export interface Curve {
  readonly name: string;
  readonly values: readonly number[];
  readonly tokens: readonly string[];
  readonly ids: readonly number[];
  readonly logits: readonly (readonly number[])[];
  readonly probability: readonly (readonly number[])[];
}

export function readBoxes(graph: Graph, value: unknown): PerturbationBox[] {
  return (Array.isArray(value) ? value : []).flatMap((entry): PerturbationBox[] => {
    const [name, members] = Array.isArray(entry) ? entry : [];
    if (typeof name !== "string" || !Array.isArray(members)) return [];
    const ids = members.map(asNodeId).filter((id) => id !== null);
    const rows = ids.map((id) => rowOf(graph, id)).filter((row) => row !== null);
    if (rows.length === 0) return [];
    const features = rows.filter((row) => graph.kind[row] === FEATURE);
    const isGroup = ids.length > 1;
    return [
      {
        key: name,
        name,
        rows,
        features,
        ids: ids.filter(([kind]) => kind === "feature"),
        group: isGroup ? 0 : null,
      },
    ];
  });
}

export function readAnswer(value: unknown): Answer | null {
  const raw = (value ?? {}) as Record<string, unknown>;
  if (!Array.isArray(raw["outputs"]) || !Array.isArray(raw["layers"])) return null;
  return {
    strengths: (raw["strengths"] ?? {}) as Strengths,
    method: String(raw["method"]),
    layers: [Number(raw["layers"][0]), Number(raw["layers"][1])],
    frozenAttention: raw["frozen_attention"] === true,
    activity: (raw["activity"] ?? {}) as Answer["activity"],
    outputs: raw["outputs"].map(
      ([id, token, before, after, rankBefore, rankAfter]): Output => ({
        id: Number(id),
        token: String(token),
        before: Number(before),
        after: Number(after),
        rankBefore: Number(rankBefore),
        rankAfter: Number(rankAfter),
      }),
    ),
    ms: Number(raw["ms"] ?? 0),
  };
}

export function readCurve(value: unknown): Curve | null {
  const curve = value as Curve | null;
  return curve && Array.isArray(curve.values) && Array.isArray(curve.logits) && curve.logits.length > 0 ? curve : null;
}

/** Change of every node's pre-activation or logit, to first order: along single edges, and along all paths. */
export interface Prediction {
  readonly direct: Float64Array;
  readonly total: Float64Array;
}

/**
 * What the graph says of rows set to multiples of their activation. Other features up to layer `clampedTo` pass nothing
 * on: the MLPs that they write are clamped.
 */
export function predict(graph: Graph, scales: ReadonlyMap<number, number>, clampedTo: number): Prediction {
  const [given, relative] = [new Float64Array(graph.n), new Float64Array(graph.n)];
  for (const [row, scale] of scales) given[row] = relative[row] = scale - 1;
  const [direct, total] = [new Float64Array(graph.n), new Float64Array(graph.n)];
  for (let t = 0; t < graph.n; t++) {
    if (scales.has(t)) continue;
    for (let edge = graph.indptr[t]!; edge < graph.indptr[t + 1]!; edge++) {
      const source = graph.source[edge]!;
      if (relative[source] === 0) continue;
      const weight = weightOf(graph, edge);
      direct[t]! += weight * given[source]!;
      total[t]! += weight * relative[source]!;
    }
    const passes = graph.kind[t] === FEATURE && graph.layer[t]! > clampedTo && graph.activation[t] !== 0;
    if (passes) relative[t] = total[t]! / graph.activation[t]!;
  }
  return { direct, total };
}

/** Rows and multiples of what strengths set. */
export function scalesOf(boxes: readonly PerturbationBox[], strengths: Strengths): Map<number, number> {
  const scales = new Map<number, number>();
  for (const { name, features } of boxes) {
    const strength = strengths[name];
    if (strength !== undefined && strength !== 1) for (const row of features) scales.set(row, strength);
  }
  return scales;
}

/** Predicted share of a box's initial activity; features do not fall below 0. null without features. */
export function predictedActivity(graph: Graph, box: PerturbationBox, moved: Float64Array): number | null {
  let [before, after] = [0, 0];
  for (const row of box.features) {
    before += graph.activation[row]!;
    after += Math.max(0, graph.activation[row]! + moved[row]!);
  }
  return before === 0 ? null : after / before;
}

/** Predicted probability of the graph's output tokens, all other logits kept. -> by token id. */
export function predictedOutputs(graph: Graph, answer: Answer, moved: Float64Array): Map<number, number> {
  const before = new Map(answer.outputs.map(({ id, before }) => [id, before]));
  const rows = Array.from(graph.kind.keys()).filter(
    (row) => graph.kind[row] === LOGIT && before.has(graph.index[row]!),
  );
  const raised = rows.map((row) => before.get(graph.index[row]!)! * Math.exp(moved[row]!));
  const mass = rows.reduce((sum, row, i) => sum + raised[i]! - before.get(graph.index[row]!)!, 1);
  return new Map(rows.map((row, i) => [graph.index[row]!, raised[i]! / mass]));
}

/** Whether a box feels direct effects alone, which then hold by construction: all MLPs under it are clamped. */
export function isDirect(graph: Graph, box: PerturbationBox, answer: Answer): boolean {
  const highest = Math.max(...box.rows.map((row) => graph.layer[row]!));
  return answer.method === "constrained" && answer.frozenAttention && highest <= answer.layers[1] + 1;
}

/** The call that does the same in Python; names and prompts are untrusted, so they go in as string literals. */
export function pythonCode(graph: Graph, boxes: readonly PerturbationBox[], answer: Answer): string {
  const lines = boxes.flatMap(({ name, ids }) => {
    const strength = answer.strengths[name];
    if (strength === undefined || strength === 1) return [];
    const nodes = ids.map(([kind, ...place]) => `("${kind}", ${place.join(", ")})`).join(", ");
    return [`    *ct.Intervention.each([${nodes}], scale=${strength}),  # ${JSON.stringify(name)}`];
  });
  const layers = answer.method === "open" ? "" : `, layers=(${answer.layers.join(", ")})`;
  const frozen = answer.frozenAttention ? "True" : "False";
  return [
    "import ct_widgets as ct",
    "",
    `result = model.intervene(${pythonText(graph.prompt)}, [`,
    ...lines,
    `], method="${answer.method}"${layers}, freeze_attention=${frozen})`,
    "result.outputs()",
  ].join("\n");
}

/** A string literal of Python, in ASCII. Its \\u is one character, where JSON spells those beyond U+FFFF as two. */
function pythonText(text: string): string {
  return JSON.stringify(text).replace(/[^\x20-\x7e]/gu, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}
