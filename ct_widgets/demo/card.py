"""The model card, written from measured values alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ct_widgets.evaluation.report import shown
from ct_widgets.language_model import MLP_OUT, RESID_MID

_INTRODUCTION = """\
# The demo model

A small decoder, a cross-layer transcoder (CLT) and a per-layer one (PLT) of it, made for tutorials and tests:
`ct_widgets.load_demo()`. `python -m ct_widgets.demo.make_artifacts` reproduces them and writes this page from what it
measures.
"""

_DATA = """\
## Data

Every training sequence is one true statement behind BOS. `data/` holds the facts, `corpus.py` makes the sentences.

- Additions of all a, b in 0..99; 10 % of the unordered pairs are held out, 36+59 among them.
- Counting in steps, last digit, tens digit, parity and comparison of numbers up to 198; 10 % held out.
- Athletes and their sport, cities and their state, states and their capital. Of the two-hop sentences (city to
  capital), 20 % of the cities are held out in both forms; the one-hop facts that they need are taught.
- Opposites in English, French and Spanish, and random words said twice.

Facts come in two forms ("Fact: the capital of ..." and "The capital of ..."). For a fifth of them the transcoder was
trained on one form alone; "unseen" above means that other form and everything held out.
"""

_LIMITS = """\
## Limits

- A closed world of 1,200 words and short sentences; it knows nothing else, and a fact in other words is a guess.
- "football" is the American game, "soccer" the other; a city stands for the state named in `data/states.json` alone.
- The transcoder was not trained on BOS, nor on the last token of a sentence, from which nothing is predicted; no figure
  here counts them. BOS keeps the MLP outputs of the model, and attribution ignores its features by default.
- Figures come from one seed. Trained again by the same code on the same kind of processor, the transcoders are the same
  to the byte; another version or processor rounds otherwise and gives slightly different weights and figures.
"""


def render(metrics: Mapping[str, Any]) -> str:
    """The card as Markdown. metrics: what `make_artifacts` measured."""
    parts = (
        _INTRODUCTION,
        _language_model(metrics),
        _transcoder(metrics["transcoder"]),
        _families(metrics["families"]),
        _per_layer_transcoder(metrics["per_layer_transcoder"]),
        _evaluation(metrics["evaluation"]),
        _DATA,
        _LIMITS,
    )
    return "\n".join(parts)


def _language_model(metrics: Mapping[str, Any]) -> str:
    model = metrics["language_model"]
    rows = [
        (
            task,
            *(f"{splits[name]['statements']:,}" if name in splits else "" for name in ("taught", "held out")),
            *(percent(splits[name]["right"]) if name in splits else "" for name in ("taught", "held out")),
        )
        for task, splits in model["accuracy"].items()
    ]
    config, recipe = model["config"], model["recipe"]
    return f"""\
## Language model

{config["n_layers"]} layers, d_model {config["d_model"]}, {config["n_heads"]} heads, {model["parameters"]:,} parameters;
{config["d_vocab"]:,} words, at most {config["n_ctx"]} tokens.
{recipe["steps"]:,} steps of {model["rows"]} statements, AdamW at {recipe["learning_rate"]}, seed {metrics["seed"]}; \
{minutes(model["seconds"])} on {model["machine"]}.

Greedy answers that are right in every token (numbers in sequences have five):

{table(("task", "taught", "held out", "right, taught", "right, held out"), rows)}"""


def _transcoder(transcoder: Mapping[str, Any]) -> str:
    layers = transcoder["parts"]["all"]["layers"]
    columns = zip(layers["normalised_mse"], layers["l0"], transcoder["dead_by_layer"], strict=True)
    by_layer = [(str(i), f"{mse:.3f}", f"{l0:.1f}", percent(dead)) for i, (mse, l0, dead) in enumerate(columns)]
    return f"""\
## Cross-layer transcoder

{_training(transcoder)}
{_parts(transcoder["parts"])}
L0 counts active features per token over all layers. Agreement, KL and cross-entropy recovered compare the model with
the one whose MLP outputs are all reconstructions, at the answer position: where the whole prompt predicts the first
token of the answer.

{table(("layer", "normalised MSE", "L0", "dead features"), by_layer)}
{percent(transcoder["dead"])} of all features are active on none of {transcoder["survey_tokens"]:,} tokens (all facts
and a sample of statements about numbers).
"""


def _per_layer_transcoder(transcoder: Mapping[str, Any]) -> str:
    return f"""\
## Per-layer transcoder

For comparison, `ct_widgets.load_demo("plt")`; it comes without examples of its features.
{_training(transcoder)}
{_parts(transcoder["parts"])}
{percent(transcoder["dead"])} of all features are active on none of {transcoder["survey_tokens"]:,} tokens.
"""


def _training(transcoder: Mapping[str, Any]) -> str:
    stages, times = transcoder["stages"], [minutes(seconds) for seconds in transcoder["seconds"]]
    base, alignment = stages["base"], stages["alignment"]
    text = f"""\
{transcoder["features"]:,} JumpReLU features per layer, reading `{RESID_MID}` and writing `{MLP_OUT}`.
{base["steps"]:,} steps of {base["batch_size"]:,} tokens, Adam at {base["learning_rate"]}, tanh penalty \
c = {base["saturation"]:g}, lambda {base["sparsity"]:g}, {base["features"]:,} features per layer;
{times[0]} on {transcoder["machine"]}.
Then {alignment["steps"]:,} steps of alignment: the same loss with lambda {alignment["sparsity"]:g}, and \
{alignment["kl"]:g} times KL(model || replacement model); {times[1]}.
"""
    if stages["width"] is None:
        return text
    finish = stages["finish"]
    return f"""\
{text}Of every layer, the {stages["width"]:,} features that write most are kept, and aligned for {finish["steps"]:,} \
steps more with lambda {finish["sparsity"]:g}; {times[2]}.
"""


def _parts(parts: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{part['tokens']:,}",
            f"{part['normalised_mse']:.3f}",
            f"{part['l0']:.1f}",
            f"{part['answers']:,}",
            percent(part["agreement"]),
            f"{part['kl']:.3f}",
            percent(part["recovered"]),
        )
        for name, part in parts.items()
    ]
    head = ("unseen", "tokens", "normalised MSE", "L0", "answers", "top-1 agreement", "KL (nats)", "CE recovered")
    return table(head, rows)


def _evaluation(found: Mapping[str, Any]) -> str:
    summary = found["summary"]
    columns = list(next(iter(summary.values())))
    rows = [
        (name, *(shown(column, math.nan if values[column] is None else values[column]) for column in columns))
        for name, values in summary.items()
    ]
    return f"""\
## Evaluation

`model.evaluate(load_texts(), beside={{"PLT": ...}})` on everything unseen: {found["tokens"]:,} tokens, predictions of
all {found["predictions"]:,} tokens of the answers, graphs of {found["prompts"]} prompts. Neurons are the model's own,
without those that write little: about as many as the CLT has active features, and the fewest that reconstruct as well.

{table(("", *columns), rows)}
Replacement, completeness and path length are of the graphs. "influence" is the rank correlation of a feature's
influence with the effect (KL) of ablating it, "knock-on" that between features more than one layer apart with relative
changes, both means of prompts; "cosine" compares how the local replacement model and the model respond, one layer on,
to a perturbation along an encoder direction (median).
"""


def _families(families: Mapping[str, Any]) -> str:
    counts: Mapping[str, Sequence[int]] = families["by_layer"]
    rows = [(str(layer), *map(str, row)) for layer, row in enumerate(zip(*counts.values(), strict=True))]
    return f"""\
## How it adds

{percent(families["named"])} of the {families["features"]} features that are active at "=" for {families["pairs"]} or \
more of the 10,000 additions belong to a
family that explains 0.6 of the variance of their activations beyond chance (`arithmetic/FAMILIES.md` says how well
families are told):

{table(("layer", *counts), rows)}
Lookup tables are mostly fuzzy patches of neighbouring operands, in either order, and hardly ever last digits. There are
no add functions to speak of: attention brings both operands to "=" before the first transcoder reads.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def percent(share: float) -> str:
    """A share with one decimal."""
    return f"{100 * share:.1f} %"


def minutes(seconds: float) -> str:
    """A time in minutes, a short one in seconds."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
