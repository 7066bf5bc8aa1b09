"""What an intervention did: logits and activations before and after, as tensors and as tables.

Axes: l layer, p position, f feature, d model, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ct_widgets.errors import InterventionError
from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.intervention import Changes
from ct_widgets.interventions.plan import InterventionPlan
from ct_widgets.language_model import LanguageModel

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class InterventionResult:
    """One changed run of one prompt.

    logits: [p, v] and inputs: [l, p, d], what transcoders read, both after the change; `baseline` has those before.
    """

    baseline: Baseline
    changes: Changes
    plan: InterventionPlan
    logits: Tensor
    inputs: Tensor

    @property
    def logits_before(self) -> Tensor:
        """Logits of the unchanged run. -> [p, v]."""
        return self.baseline.run.logits

    @property
    def tokens(self) -> list[str]:
        """The prompt's tokens, [p]."""
        return self.baseline.language_model.str_tokens(self.baseline.run.tokens)

    @cached_property
    def activations_before(self) -> list[Tensor]:
        """Feature activations of the unchanged run. -> L x [p, f]."""
        return [self.baseline.activations(layer) for layer in range(self.baseline.n_layers)]

    @cached_property
    def activations(self) -> list[Tensor]:
        """Feature activations after the change, as encoded from what layers read then. -> L x [p, f].

        Features that the change sets have the value they were set to.
        """
        encoded = [self.baseline.transcoder.encode(layer, x) for layer, x in enumerate(self.inputs)]
        for layer, (position, feature, factor, offset) in self.changes.sets.items():
            own = self.activations_before[layer][position, feature]
            encoded[layer][position, feature] = factor * own + offset
        return encoded

    @cached_property
    def fraction(self) -> list[Tensor]:
        """Activations as fractions of what they were, nan where they were 0. -> L x [p, f]."""
        return [
            torch.where(before == 0, torch.nan, after / before)
            for before, after in zip(self.activations_before, self.activations, strict=True)
        ]

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """One row per feature that is active before or after: layer, position, token, feature, before, after,
        fraction, and effect: "set", "direct" (holds by construction) or "knock-on".
        """
        import pandas as pd

        tokens = self.tokens
        tables: list[pd.DataFrame] = []
        for layer, (before, after) in enumerate(zip(self.activations_before, self.activations, strict=True)):
            position, feature = ((before != 0) | (after != 0)).nonzero(as_tuple=True)
            effect = np.full(len(position), "direct" if self.plan.is_direct(layer) else "knock-on", dtype=object)
            if layer in self.changes.sets:
                is_set = torch.zeros_like(before, dtype=torch.bool)
                is_set[self.changes.sets[layer].position, self.changes.sets[layer].feature] = True
                effect[is_set[position, feature].cpu().numpy()] = "set"
            columns = {
                "layer": np.full(len(position), layer),
                "position": position.cpu().numpy(),
                "token": [tokens[p] for p in position.tolist()],
                "feature": feature.cpu().numpy(),
                "before": before[position, feature].float().cpu().numpy(),
                "after": after[position, feature].float().cpu().numpy(),
                "fraction": self.fraction[layer][position, feature].float().cpu().numpy(),
                "effect": effect,
            }
            tables.append(pd.DataFrame(columns))
        return pd.concat(tables, ignore_index=True)

    def outputs(self, k: int = 10, *, position: int = -1) -> pd.DataFrame:
        """Table the top tokens after the change, and those before it: token, id, probability before and after,
        rank before and after, and the change of the logit (less the mean change over the vocabulary).
        """
        return outputs_table(self.baseline.language_model, self.logits_before[position], self.logits[position], k)

    def __repr__(self) -> str:
        first, last = self.plan.layers
        top = self.outputs(1).iloc[0]
        return (
            f"<InterventionResult: {self.plan.method}, layers {first} to {last}; next {top['token']!r} "
            f"({top['before']:.2f} before, {top['after']:.2f} after)>"
        )


class InterventionResults(Mapping[str, InterventionResult]):
    """Results of several named interventions on one prompt."""

    def __init__(self, results: Mapping[str, InterventionResult]) -> None:
        self._results = dict(results)

    def __getitem__(self, name: str) -> InterventionResult:
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    @property
    def nodes(self) -> pd.DataFrame:
        """Tables of nodes of all results below each other, with their name in the first column."""
        return self._stack({name: result.nodes for name, result in self._results.items()})

    def outputs(self, k: int = 10, *, position: int = -1) -> pd.DataFrame:
        """Table the top tokens of all results below each other, with their name in the first column."""
        return self._stack({name: result.outputs(k, position=position) for name, result in self._results.items()})

    def targets(self, tokens: list[str], *, position: int = -1) -> pd.DataFrame:
        """Table the probability of each of `tokens` under each intervention; the first row is the unchanged model."""
        import pandas as pd

        if not self._results:
            raise InterventionError("there are no results to tabulate: name at least one intervention")
        one = next(iter(self._results.values()))
        ids = [one.baseline.language_model.single_token(token) for token in tokens]
        rows = {"baseline": one.logits_before} | {name: result.logits for name, result in self._results.items()}
        found = [logits[position].double().softmax(-1)[ids].cpu().numpy() for logits in rows.values()]
        return pd.DataFrame(found, columns=tokens, index=pd.Index(rows, name="intervention"))

    def _stack(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd

        return pd.concat(tables, names=["intervention"]).reset_index(level=0).reset_index(drop=True)

    def __repr__(self) -> str:
        return f"<InterventionResults: {', '.join(self._results)}>"


def outputs_table(model: LanguageModel, before: Tensor, after: Tensor, k: int) -> pd.DataFrame:
    """Table the top `k` tokens of either of two logits [v], by falling probability after."""
    import pandas as pd

    before, after = before.double(), after.double()
    ids = list(dict.fromkeys([*after.topk(k).indices.tolist(), *before.topk(k).indices.tolist()]))
    moved = (after - after.mean()) - (before - before.mean())
    table = pd.DataFrame(
        {
            "token": model.str_tokens(ids),
            "id": ids,
            "before": before.softmax(-1)[ids].cpu().numpy(),
            "after": after.softmax(-1)[ids].cpu().numpy(),
            "rank_before": [1 + int((before > before[i]).sum()) for i in ids],
            "rank_after": [1 + int((after > after[i]).sum()) for i in ids],
            "logit_change": moved[ids].cpu().numpy(),
        }
    )
    return table.sort_values("after", ascending=False, ignore_index=True)
