"""Text under steering, beside what the model writes by itself.

Axes: p position, v vocabulary.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ct_widgets.errors import InterventionError
from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.engine import resolve_and_plan, run
from ct_widgets.interventions.intervention import Intervention
from ct_widgets.transcoded_model import TranscodedModel

_Choose = Callable[[Tensor, torch.Generator], int]


@dataclass(frozen=True)
class Generated:
    """Continuations of one prompt; `tokens` under the interventions, `plain` without them."""

    prompt: tuple[str, ...]
    tokens: tuple[str, ...]
    plain: tuple[str, ...]
    token_ids: tuple[int, ...]
    plain_ids: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<Generated: {' '.join(self.tokens)!r}; without interventions {' '.join(self.plain)!r}>"

    def _repr_html_(self) -> str:
        """Both continuations side by side; tokens from the first difference on are marked."""
        same = next((i for i, (a, b) in enumerate(zip(self.tokens, self.plain, strict=False)) if a != b), None)
        same = min(len(self.tokens), len(self.plain)) if same is None else same

        def cell(tokens: tuple[str, ...]) -> str:
            marked = [
                f"<b>{html.escape(token)}</b>" if i >= same else html.escape(token) for i, token in enumerate(tokens)
            ]
            prompt = html.escape(" ".join(self.prompt))
            return f'<td style="text-align:left"><span style="opacity:.6">{prompt}</span> {" ".join(marked)}</td>'

        return (
            '<table><thead><tr><th style="text-align:left">without</th><th style="text-align:left">with interventions'
            f"</th></tr></thead><tbody><tr>{cell(self.plain)}{cell(self.tokens)}</tr></tbody></table>"
        )


def generate(
    model: TranscodedModel,
    prompt: str | Sequence[int] | Tensor,
    interventions: Sequence[Intervention],
    *,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
) -> Generated:
    """Continue a prompt with and without open-ended steering; see `ReplacementModel.generate`."""
    if temperature < 0 or max_new_tokens < 0:
        raise InterventionError(f"temperature {temperature} and max_new_tokens {max_new_tokens} must be 0 or more")
    if (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise InterventionError(
            f"top_k is {top_k} and top_p {top_p}; give at least 1, and a share of the probability above 0, up to 1"
        )
    language_model = model.language_model
    start = language_model.tokens(prompt)
    fixed = [_from_the_start(one, len(start)) for one in interventions]
    plain, steered = (
        _continue(
            model,
            start,
            changes,
            max_new_tokens,
            lambda logits, draw: _choose(logits, temperature, top_k, top_p, draw),
            torch.Generator().manual_seed(seed),
        )
        for changes in ([], fixed)
    )
    return Generated(
        tuple(language_model.str_tokens(start)),
        tuple(language_model.str_tokens(steered)),
        tuple(language_model.str_tokens(plain)),
        tuple(steered),
        tuple(plain),
    )


def _from_the_start(one: Intervention, n_positions: int) -> Intervention:
    """Positions that count from the end of the prompt keep their place while the text grows."""
    if one.position is None:
        return one
    asked = [one.position] if isinstance(one.position, int) else one.position
    return replace(one, position=[place + n_positions if -n_positions <= place < 0 else place for place in asked])


def _continue(
    model: TranscodedModel,
    tokens: Tensor,
    changes: Sequence[Intervention],
    n: int,
    choose: _Choose,
    draw: torch.Generator,
) -> list[int]:
    lm = model.language_model
    written: list[int] = []
    while len(written) < n and len(tokens) < lm.n_ctx and (not written or written[-1] != lm.eos_id):
        with lm.lock, torch.no_grad():
            if changes:
                base = Baseline(model, tokens)
                change, plan = resolve_and_plan(changes, model.transcoder, base.n_positions, "open")
                logits = run(base, plan, [change])[0].logits[-1]
            else:
                logits = lm.logits(tokens[None])[0, -1]
        written.append(choose(logits.float().cpu(), draw))
        tokens = torch.cat([tokens, tokens.new_tensor(written[-1:])])
    return written


def _choose(logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, draw: torch.Generator) -> int:
    """A token id from logits [v]."""
    if temperature == 0:
        return int(logits.argmax())
    probability, ids = (logits / temperature).softmax(-1).sort(descending=True)
    kept = torch.ones_like(probability, dtype=torch.bool)
    if top_k is not None:
        kept[top_k:] = False
    if top_p is not None:
        # The smallest set that reaches the share: a token stays if those before it do not reach it.
        kept &= probability.cumsum(0) - probability < top_p
    return int(ids[torch.multinomial(probability * kept, 1, generator=draw)])
