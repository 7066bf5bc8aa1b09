"""Attribution at scale: memory, decoders that stay on disk, weights in half precision."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import GOLDEN

from ct_widgets.graph import AttributionGraph
from ct_widgets.replacement_model import ReplacementModel

# Says how much memory of its own a process takes at most from `watch` on: pages of mapped files do not count.
WATCH = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
import torch
from ct_widgets.language_model import native_bridge
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.transcoders import Transcoder
from conftest import NATIVE, random_transcoder

def own():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

class Watch(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.peak = own()
        self.start()

    def run(self):
        while True:
            self.peak = max(self.peak, own())
            time.sleep(0.002)

    def used(self):
        return self.peak - self.before
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def run(script: str, *arguments: str) -> list[str]:
    """Lines that a script prints in a process of its own."""
    command = [sys.executable, "-c", WATCH + script, str(Path(__file__).parents[1]), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


LONG = """
from ct_widgets.errors import GraphError

model = ReplacementModel(native_bridge(NATIVE | {"n_ctx": 256}), random_transcoder(3, 24, 100, seed=0))
tokens = torch.randint(1, 60, (160,), generator=torch.Generator().manual_seed(0)).tolist()
model.attribute(tokens[:4])
watch = Watch()
budget = 100 * 2**20
try:
    model.attribute(tokens, max_memory=budget)
except GraphError as error:
    print(error)
    n = int(str(error).split("max_feature_nodes=")[1].split()[0])
graph = model.attribute(tokens, max_memory=budget, max_feature_nodes=n)
print(len(graph.kind), n, watch.used(), budget)
"""


@linux
def test_a_long_prompt_stays_within_its_memory_or_says_how_much_fits() -> None:
    error, numbers = run(LONG)
    assert "all rows of this prompt take" in error
    assert "or a larger max_memory" in error
    nodes, features, used, budget = map(int, numbers.split())
    assert nodes > features > 100
    assert used < budget


LARGE = """
bridge = native_bridge(NATIVE | {"n_layers": 6, "d_model": 32, "d_head": 8})
ReplacementModel(bridge, random_transcoder(6, 32)).attribute([3, 17, 5, 41])  # imports take memory, too
watch = Watch()
model = ReplacementModel(bridge, Transcoder.load(sys.argv[2]))
graph = model.attribute([3, 17, 5, 41])
print(int((graph.kind == 1).sum()), watch.used())
"""


def write_mostly_holes(path: Path, shapes: dict[str, tuple[int, ...]], rows: dict[str, dict[int, np.ndarray]]) -> None:
    """A safetensors file of float32 zeros that takes no room on disk, but for some rows."""
    header, end = {}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + 4 * int(np.prod(shape))]}
        end = header[name]["data_offsets"][1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        start = file.tell()
        file.truncate(start + end)
        for name, values in rows.items():
            for row, value in values.items():
                data = value.astype(np.float32).tobytes()
                file.seek(start + header[name]["data_offsets"][0] + row * len(data))
                file.write(data)


@linux
def test_a_large_dictionary_is_never_loaded_whole(tmp_path: Path) -> None:
    n_layers, n_features, d, active = 6, 100_000, 32, (7, 50_000, 99_999)
    rng = np.random.default_rng(0)
    for layer in range(n_layers):
        encoder = {f"W_enc_{layer}": (n_features, d), f"b_enc_{layer}": (n_features,), f"b_dec_{layer}": (d,)}
        bias = {f"b_enc_{layer}": {row: np.array([9.0]) for row in active}}
        write_mostly_holes(tmp_path / f"W_enc_{layer}.safetensors", encoder, bias)
        decoder = {f"W_dec_{layer}": (n_features, n_layers - layer, d)}
        vectors = {row: rng.normal(size=(n_layers - layer, d)) for row in active}
        write_mostly_holes(tmp_path / f"W_dec_{layer}.safetensors", decoder, {f"W_dec_{layer}": vectors})
    config = {
        "model_kind": "cross_layer_transcoder",
        "feature_input_hook": "hook_resid_mid",
        "feature_output_hook": "hook_mlp_out",
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    decoders = sum(path.stat().st_size for path in tmp_path.glob("W_dec_*"))
    features, used = map(int, run(LARGE, str(tmp_path))[0].split())
    assert features == n_layers * 3 * len(active)
    assert used < decoders / 3


@pytest.fixture(scope="module")
def full_precision() -> AttributionGraph:
    return golden(torch.float32).attribute([1, 17, 5, 41, 8])


def golden(dtype: torch.dtype) -> ReplacementModel:
    folder = GOLDEN / "gpt2-clt"
    return ReplacementModel.from_pretrained(folder / "model", folder / "transcoder", dtype=dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 0.004)])
def test_half_precision_weights_are_summed_in_full(
    full_precision: AttributionGraph, dtype: torch.dtype, tolerance: float
) -> None:
    graph = golden(dtype).attribute([1, 17, 5, 41, 8])
    shared = set(graph.node_ids) & set(full_precision.node_ids)
    assert len(shared) > 0.9 * full_precision.n_nodes
    # Rows close as well as the model's own rounding allows: what they add up is not rounded again.
    assert (graph.audit().relative_residual or 0) < tolerance
    ours, theirs = (
        {(row["source"], row["target"]): row["weight"] for row in named_edges(one, shared)}
        for one in (graph, full_precision)
    )
    both = sorted(ours.keys() & theirs.keys(), key=str)
    a, b = np.array([ours[key] for key in both]), np.array([theirs[key] for key in both])
    assert np.linalg.norm(a - b) < tolerance * np.linalg.norm(b)


def named_edges(graph: AttributionGraph, nodes: set[object]) -> list[dict[str, object]]:
    """Edges among `nodes` by the ids of their ends."""
    ids = graph.node_ids
    edges = zip(graph.edges["source"], graph.edges["target"], graph.edges["weight"], strict=True)
    return [
        {"source": ids[s], "target": ids[t], "weight": w} for s, t, w in edges if ids[s] in nodes and ids[t] in nodes
    ]
