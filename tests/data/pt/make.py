"""Makes the files here with circuit-tracer itself: PyPI's 0.5.0 and TransformerLens 2.16.1, in their own environment.

    python tests/data/pt/make.py

`new.pt` is what its `Graph.to_pt` writes now, `old.pt` the layout of files before 0.4, and `graph.json` what its viewer
would get of the same graph, pruned at 0.9 and 0.98: the oracle of the reader. Numbers are random.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.graph import Graph
from circuit_tracer.utils.create_graph_files import create_graph_files
from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig
from transformer_lens import HookedTransformerConfig

HERE = Path(__file__).parent
TOKENIZER = HERE.parent / "golden" / "gpt2-clt" / "model"
L, V = 3, 60
TOKENS = [0, 17, 27, 23]
# (layer, position, feature); the first shares its name in JSON, 0_2_3, with the error of layer 2 at position 3.
FEATURES = [(0, 3, 2), (0, 1, 11), (0, 2, 5), (1, 3, 7), (1, 1, 11), (1, 2, 30), (2, 3, 1), (2, 2, 4)]
SELECTED = [0, 1, 3, 4, 5, 6]
TARGETS = [LogitTarget("ab", 41), LogitTarget("x - y", V + 1), LogitTarget("c", 8)]


def adjacency() -> torch.Tensor:
    """Random edges from lower to higher layers, rows = targets."""
    p = len(TOKENS)
    nodes = [FEATURES[place][:2] for place in SELECTED]
    nodes += [(layer, position) for layer in range(L) for position in range(p)]
    nodes += [(-1, position) for position in range(p)] + [(L, p - 1)] * len(TARGETS)
    features, logits = range(len(SELECTED)), range(len(nodes) - len(TARGETS), len(nodes))
    generator = torch.Generator().manual_seed(0)
    found = torch.zeros(len(nodes), len(nodes))
    for target in (*features, *logits):
        for source, (layer, position) in enumerate(nodes):
            if layer < nodes[target][0] and position <= nodes[target][1] and torch.rand(1, generator=generator) < 0.8:
                found[target, source] = torch.randn(1, generator=generator)
    return found


def main() -> None:
    sizes = {"n_layers": L, "d_model": 32, "d_head": 8, "n_heads": 4, "d_mlp": 64, "d_vocab": V}
    config = UnifiedConfig(
        **sizes, tokenizer_name="tiny", model_name="tiny", original_architecture="GPT2", dtype=torch.float32
    )
    shared = {
        "input_string": "a prompt",
        "input_tokens": torch.tensor(TOKENS),
        "active_features": torch.tensor(FEATURES),
        "adjacency_matrix": adjacency(),
        "selected_features": torch.tensor(SELECTED),
        "activation_values": torch.arange(1, len(FEATURES) + 1) / 4,
        "logit_probabilities": torch.tensor([0.25, 0.5, 0.125]),
    }
    graph = Graph(**shared, cfg=config, logit_targets=TARGETS, vocab_size=V, scan="tiny-clt")
    graph.to_pt(str(HERE / "new.pt"))
    hooked = HookedTransformerConfig(**sizes, n_ctx=32, act_fn="gelu", model_name="tiny", tokenizer_name="tiny")
    legacy = {"cfg": hooked, "logit_tokens": torch.tensor([41, 12, 8]), "scan": ["tiny-0", "tiny-1"]}
    torch.save(shared | legacy, HERE / "old.pt")
    graph.cfg.tokenizer_name = str(TOKENIZER)
    with tempfile.TemporaryDirectory() as folder:
        create_graph_files(graph, "tiny", folder, scan="tiny-clt", node_threshold=0.9, edge_threshold=0.98)
        (HERE / "graph.json").write_bytes((Path(folder) / "tiny.json").read_bytes())


if __name__ == "__main__":
    main()
