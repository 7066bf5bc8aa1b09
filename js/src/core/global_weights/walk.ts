/**
 * One step of a walk through global weights: the values that `ct_widgets/widgets/global_weights_payload.py` made,
 * checked, since they may come out of a notebook that somebody else saved.
 */

import { type Card, type Example, readCard, readExample } from "../examples/card";
import { asList, asNumber, asNumberOrNull, asObject, asText } from "../read_trait";

export type Ranking = "twera" | "era" | "virtual";

export const RANKINGS: readonly Ranking[] = ["twera", "era", "virtual"];

export interface Neighbour {
  readonly feature: string;
  readonly label: string;
  /** Whether the label is a guess. */
  readonly guessed: boolean;
  /** Each measure, or null where the corpus says nothing. */
  readonly measures: Readonly<Record<Ranking, number | null>>;
  /** How much of its usual activation the source has where the target is active, or null. */
  readonly together: number | null;
  readonly interference: boolean;
  readonly example: Example | null;
  readonly maximum: number;
  /** Whether tokens are words that a space would part. */
  readonly spaced: boolean;
}

export interface Side {
  readonly rows: readonly Neighbour[];
  /** Connections that there are, of which `rows` are the strongest. */
  readonly kept: number;
  readonly missing: string;
}

export interface Step {
  readonly feature: string;
  readonly by: Ranking;
  readonly card: Card | null;
  readonly inputs: Side;
  readonly outputs: Side;
}

export const readRanking = (value: unknown): Ranking => RANKINGS.find((known) => known === value) ?? "virtual";

/** A step of whatever comes; null if it is none. */
export function readStep(value: unknown): Step | null {
  const step = asObject(value);
  if (asText(step["feature"]) === "") return null;
  return {
    feature: asText(step["feature"]),
    by: readRanking(step["by"]),
    card: readCard(step["card"]),
    inputs: readSide(step["inputs"]),
    outputs: readSide(step["outputs"]),
  };
}

function readSide(value: unknown): Side {
  const side = asObject(value);
  return {
    rows: asList(side["rows"]).map(readNeighbour),
    kept: asNumber(side["kept"]),
    missing: asText(side["missing"]),
  };
}

function readNeighbour(value: unknown): Neighbour {
  const row = asObject(value);
  const example = row["example"] ? readExample(row["example"]) : null;
  return {
    feature: asText(row["feature"]),
    label: asText(row["label"]),
    guessed: row["guessed"] === true,
    measures: {
      twera: asNumberOrNull(row["twera"]),
      era: asNumberOrNull(row["era"]),
      virtual: asNumberOrNull(row["virtual"]),
    },
    together: asNumberOrNull(row["together"]),
    interference: row["interference"] === true,
    example: example && example.pieces.length > 0 ? example : null,
    maximum: asNumber(row["maximum"]),
    spaced: row["spaced"] === true,
  };
}
