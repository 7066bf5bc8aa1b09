"""The model card, written from measured values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_INTRODUCTION = """\
# The embedded model

A small decoder and a cross-layer transcoder (CLT) of it, made for tutorials and tests: `ct_widgets.load_demo()`.
`python -m ct_widgets.demo.make_artifacts` reproduces both and writes this page from what it measures.
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
- Figures come from one seed. Another processor rounds otherwise and gives slightly different weights and figures.
"""


def render(metrics: Mapping[str, Any]) -> str:
    """The card as Markdown. metrics: what `make_artifacts` measured."""
    parts = [
        _INTRODUCTION,
        _language_model(metrics),
        _transcoder(metrics["transcoder"]),
        _families(metrics["families"]),
    ]
    parts += [_DATA, _LIMITS]
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
{minutes(model["seconds"])} on {metrics["machine"]}.

Greedy answers that are right in every token (numbers in sequences have five):

{table(("task", "taught", "held out", "right, taught", "right, held out"), rows)}"""


def _transcoder(transcoder: Mapping[str, Any]) -> str:
    stages, parts = transcoder["stages"], transcoder["parts"]
    recipe, alignment, finish = stages["base"], stages["alignment"], stages["finish"]
    base_time, alignment_time, finish_time = map(minutes, transcoder["seconds"])
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
    layers = parts["all"]["layers"]
    columns = zip(layers["normalised_mse"], layers["l0"], transcoder["dead_by_layer"], strict=True)
    by_layer = [(str(i), f"{mse:.3f}", f"{l0:.1f}", percent(dead)) for i, (mse, l0, dead) in enumerate(columns)]
    return f"""\
## Cross-layer transcoder

{transcoder["features"]:,} JumpReLU features per layer, reading `hook_resid_mid` and writing `hook_mlp_out`.
{recipe["steps"]:,} steps of {recipe["batch_size"]:,} tokens, Adam at {recipe["learning_rate"]}, tanh penalty \
c = {recipe["saturation"]:g}, lambda {recipe["sparsity"]:g}, {recipe["features"]:,} features per layer; {base_time}.
Then {alignment["steps"]:,} steps of alignment: the same loss with lambda {alignment["sparsity"]:g}, and \
{alignment["kl"]:g} times KL(model || replacement model); {alignment_time}.
Of every layer, the {stages["width"]:,} features that write most are kept, and aligned for {finish["steps"]:,} steps \
more with lambda {finish["sparsity"]:g}; {finish_time}.

{table(head, rows)}
L0 counts active features per token over all layers. Agreement, KL and cross-entropy recovered compare the model with
the one whose MLP outputs are all reconstructions, at the answer position: where the whole prompt predicts the first
token of the answer.

{table(("layer", "normalised MSE", "L0", "dead features"), by_layer)}
{percent(transcoder["dead"])} of all features are active on none of {transcoder["survey_tokens"]:,} tokens (all facts
and a sample of statements about numbers).
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
    """A time in minutes."""
    return f"{seconds / 60:.0f} min"
