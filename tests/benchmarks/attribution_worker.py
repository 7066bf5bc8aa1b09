"""Runs one attribution and prints what it took as JSON; `attribution.py` calls it, once per measurement.

    python attribution_worker.py ours|peer FOLDER '{"budget": null, "device": "cpu", "batch": 64}' [watch]

"ours" runs in this project's environment, "peer" in circuit-tracer's, so imports are local. The clock starts when model
and transcoder are loaded and warm: one short attribution comes first, and on a GPU, where a kernel is loaded when it is
first used, the same one. Two figures for memory: `peak_mb` is the whole process with the files it has mapped; `own_mb`,
with "watch", what the attribution itself adds to the memory that only the process has. Looking takes time, a tenth of
that of a short attribution, so who watches does not time.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM_UP = [0, 1, 2]


def memory(name: str) -> int:
    """A figure of this process's memory in bytes, as the system names it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def own_bytes() -> int:
    """Memory that the process has for itself: without mapped files, which the system may drop at any time."""
    return memory("RssAnon")


def finish_gpu() -> None:
    """Wait until the GPU has done all it was given."""
    import torch

    torch.cuda.synchronize()


def gpu_peak() -> int:
    """The most memory of the GPU that tensors took, in bytes."""
    import torch

    return torch.cuda.max_memory_allocated()


class Watch(threading.Thread):
    """Looks every few milliseconds at how much memory the process has."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = self.peak = own_bytes()

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, own_bytes())
            time.sleep(0.005)


def ours(
    folder: Path, budget: int | None, device: str
) -> tuple[Callable[[list[int]], Any], Callable[[Any], dict[str, Any]]]:
    """ct_widgets: the attribution, and what its graph has."""
    from ct_widgets.replacement_model import ReplacementModel

    model = ReplacementModel.from_pretrained(folder / "model", folder / "transcoder", device=device)

    def attribute(tokens: list[int]) -> Any:
        return model.attribute(tokens, max_feature_nodes=budget, progress=False)

    def describe(graph: Any) -> dict[str, Any]:
        rows = graph.kind == 1
        place = {"layer": graph.layer[rows].tolist(), "position": graph.position[rows].tolist()}
        return {"features": int(rows.sum()), "rows": place}

    return attribute, describe


def peer_model(folder: Path, device: str) -> Any:
    """circuit-tracer's model of the weights in `folder`."""
    import torch
    from circuit_tracer.replacement_model.replacement_model_transformerlens import TransformerLensReplacementModel
    from circuit_tracer.transcoder.cross_layer_transcoder import load_clt
    from transformer_lens import HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
    from transformers import AutoTokenizer, GPT2LMHeadModel

    hf = GPT2LMHeadModel.from_pretrained(folder / "model")
    config = HookedTransformerConfig(
        n_layers=hf.config.n_layer,
        d_model=hf.config.n_embd,
        n_heads=hf.config.n_head,
        d_head=hf.config.n_embd // hf.config.n_head,
        d_mlp=4 * hf.config.n_embd,
        n_ctx=hf.config.n_positions,
        d_vocab=hf.config.vocab_size,
        act_fn="gelu_new",
        normalization_type="LN",
        device=device,
    )
    transcoder = load_clt(str(folder / "transcoder"), device=torch.device(device), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    model = TransformerLensReplacementModel.from_config(config, transcoder, tokenizer=tokenizer)
    with torch.no_grad():
        own = dict(model.named_parameters())
        for name, value in convert_gpt2_weights(hf, config).items():
            target = own.get(
                name, own.get(name.replace("unembed.", "unembed.old_unembed.").replace(".mlp.", ".mlp.old_mlp."))
            )
            if target is not None:
                target.copy_(value)
    return model


def peer(
    folder: Path, budget: int | None, device: str, batch: int
) -> tuple[Callable[[list[int]], Any], Callable[[Any], dict[str, Any]]]:
    """circuit-tracer on the same weights."""
    import torch
    from circuit_tracer.attribution.attribute import attribute as peer_attribute

    model = peer_model(folder, device)

    def attribute(tokens: list[int]) -> Any:
        return peer_attribute(torch.tensor(tokens), model, batch_size=batch, max_feature_nodes=budget)

    def describe(graph: Any) -> dict[str, Any]:
        return {"features": len(graph.selected_features)}

    return attribute, describe


def main() -> None:
    who, folder, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    attribute, describe = {"ours": ours, "peer": peer}[who](folder, **settings)
    tokens = json.loads((folder / "tokens.json").read_text())
    on_gpu = settings["device"] != "cpu"
    attribute(tokens if on_gpu else WARM_UP)
    watch = Watch() if sys.argv[4:] == ["watch"] else None
    if watch:
        watch.start()
    wall, cpu = time.perf_counter(), time.process_time()
    graph = attribute(tokens)
    if on_gpu:
        finish_gpu()
    taken = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    # Not getrusage, whose peak a process inherits from the one that started it.
    taken["peak_mb"] = memory("VmHWM") / 2**20
    if watch:
        taken = {"own_mb": (watch.peak - watch.before) / 2**20}
    if on_gpu:
        taken["gpu_mb"] = gpu_peak() / 2**20
    print(json.dumps({**taken, **describe(graph)}))


if __name__ == "__main__":
    main()
