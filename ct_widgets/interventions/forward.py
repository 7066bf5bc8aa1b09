"""The model run once more under a change, from the first layer and position that change.

Two ways to the same numbers: `run_blocks` calls the blocks as functions, for frozen attention and a known family;
`run_hooked` runs the whole model with hooks, for live attention and every family.
Axes: n row (see `Baseline.rows`), l layer, p position, d model, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.plan import InterventionPlan
from ct_widgets.interventions.writers import Writer
from ct_widgets.language_model import NORMED, hooked_pass
from ct_widgets.language_model.live_blocks import LiveModel


class Stream(NamedTuple):
    """A changed run. inputs: layer -> [n, p, d], what transcoders read; normed: [n, p, d], what the unembedding reads.

    Positions begin at `start`; layers that are not in `inputs`, and positions before `start`, are as they were.
    """

    inputs: Mapping[int, Tensor]
    normed: Tensor
    start: int


def run_blocks(
    base: Baseline,
    live: LiveModel,
    plan: InterventionPlan,
    writer: Writer,
    n: int,
    *,
    layer: int = 0,
    start: int = 0,
    proceed: Callable[[], None] = lambda: None,
) -> Stream:
    """Run from `layer` on at the positions from `start` on. `proceed` is called before every layer and may raise."""
    run, window = base.run, slice(start, None)
    x = run.resid_pre[layer][..., window, :].expand(n, -1, -1)

    def scale(name: str, at: int) -> Tensor | None:
        return run.scales[name][at][..., window] if plan.freeze_norms and name in run.scales else None

    inputs: dict[int, Tensor] = {}
    for at in range(layer, base.n_layers):
        proceed()
        block = live.blocks[at]
        earlier = base.values_of(live, at)[:, :start]
        attention = block.attention(x, run.pattern[at], earlier, scale("ln1", at), scale("ln1_post", at))
        middle = x + attention
        seen = x if block.parallel else middle
        ln2 = scale("ln2", at)
        read = inputs[at] = block.read(run.input_hook, x, middle, ln2)

        def own_mlp(seen: Tensor = seen, at: int = at, ln2: Tensor | None = ln2) -> Tensor:
            return live.blocks[at].mlp(seen, ln2, scale("ln2_post", at))

        x = middle + writer.write(at, read, own_mlp)
    return Stream(inputs, live.final(x, run.scales["final"][..., window] if plan.freeze_norms else None), start)


def run_hooked(base: Baseline, plan: InterventionPlan, writer: Writer, n: int) -> tuple[Stream, Tensor]:
    """Run the whole model with hooks, which are gone afterwards whatever happens. -> the stream, logits [n, p, v]."""
    run = base.run
    passed = hooked_pass(
        base.language_model,
        run.tokens.expand(n, -1),
        lambda layer, read, own: writer.write(layer, read, lambda: own),
        input_hook=run.input_hook,
        patterns=run.pattern if plan.freeze_attention else None,
        scales=run.scales if plan.freeze_norms else None,
        keep=[NORMED],
    )
    return Stream(dict(enumerate(passed.inputs)), passed.kept[NORMED], 0), passed.logits
