"""Runs one change of a slider many times and prints what it took as JSON; `perturbation.py` calls it.

    python perturbation_worker.py ours|peer FOLDER '{"layer": 6, "features": 5}'

"ours" runs in this project's environment, "peer" in circuit-tracer's, so imports are local. Both set the first active
features of one layer at the last position but one to multiples of their activation. ours: constrained patching from
that layer on by a session; peer: `feature_intervention` with the same range, which is what a slider would call.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCALES = [-1.0, 0.5, -2.0, 0.0, 1.5, -0.5, 2.0, -1.5, 0.25, -0.25]

Run = Callable[[float], Any]


def ours(folder: Path, layer: int, features: int) -> Run:
    """A session on the graph of the prompt."""
    from ct_widgets.interventions import PerturbationSettings
    from ct_widgets.replacement_model import ReplacementModel

    model = ReplacementModel.from_pretrained(folder / "model", folder / "transcoder")
    tokens = json.loads((folder / "tokens.json").read_text())
    graph = model.attribute(tokens, progress=False)
    session = model.perturbation(graph, {"group": chosen(folder, layer, features, write=graph)})
    settings = PerturbationSettings("constrained", layer)
    return lambda scale: session.update({"group": scale}, settings).logits


def chosen(folder: Path, layer: int, features: int, write: Any) -> list[Any]:
    """The features that both change, written down by the first who runs."""
    found = [node for node in write.node_ids if node.kind == "feature" and node.layer == layer]
    place = max(node.position for node in found)
    nodes = [node for node in found if node.position == place][:features]
    values = [float(write.activation[write.row(node)]) for node in nodes]
    facts = [[node.layer, node.position, node.index, value] for node, value in zip(nodes, values, strict=True)]
    (folder / "changed.json").write_text(json.dumps(facts))
    return nodes


def peer(folder: Path, layer: int, features: int) -> Run:
    """circuit-tracer's call with the same features and range."""
    import torch
    from attribution_worker import peer_model

    model = peer_model(folder, "cpu")
    tokens = torch.tensor(json.loads((folder / "tokens.json").read_text()))
    changed = json.loads((folder / "changed.json").read_text())[:features]

    def run(scale: float) -> Any:
        asked = [(at, position, index, scale * value) for at, position, index, value in changed]
        logits, _ = model.feature_intervention(tokens, asked, constrained_layers=range(layer + 1))
        return logits[0, -1] if logits.ndim == 3 else logits[-1]

    return run


def main() -> None:
    who, folder, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    run = {"ours": ours, "peer": peer}[who](folder, **settings)
    run(1.25)
    times: list[float] = []
    top: list[float] = []
    for scale in SCALES:
        start = time.perf_counter()
        logits = run(scale)
        times.append(time.perf_counter() - start)
        top.append(float((logits - logits.mean()).max()))
    print(json.dumps({"median_s": sorted(times)[len(times) // 2], "times_s": times, "top_logit": top}))


if __name__ == "__main__":
    main()
