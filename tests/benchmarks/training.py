"""Training a cross-layer transcoder of the embedded model: ours, OpenMOSS's trainer and a dense reference, in one run.

    python tests/benchmarks/training.py [--steps 300] [--out training.json] [--device cuda]

All learn from the same activations (4 layers, d_model 128), normalised alike, 1,024 features per layer, 16 active ones
per token and layer, 1,024 tokens per step, one thread; every measurement has a process of its own (training_worker.py).
Speed is tokens per second of processor time over the whole loop. Quality is the normalised MSE on held-out tokens after
equally many, at the better of two learning rates each; L0 is the same and is measured too.
OpenMOSS's trainer (llamascopium) gets an environment of its own beside this script; where that cannot be made, its half
is left out. The dense reference is what trainers without sparse code do: dense products, a top-k per batch, Adam.
With `--device cuda` it measures ours at the size of GPT-2 small instead: see training_gpu.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np
import torch
import training_gpu
from safetensors.torch import save_file

from ct_widgets import load_demo
from ct_widgets.demo.corpus import statements
from ct_widgets.training import TrainingConfig, read_activations
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.training.sources import TextBuffers

HERE = Path(__file__).parent
WORKER = HERE / "training_worker.py"
PEER = HERE / ".peer-training"
PEER_PACKAGES = (
    (f"torch=={torch.__version__.split('+')[0]}",),
    ("llamascopium==2.0.0b34",),
    # It imports what TransformerLens 4 no longer has, while its own requirements exclude what older ones need: last.
    ("transformer-lens==2.18.0", "transformers==4.57.6", "pyarrow<22", "numpy<2"),
)
RATES = (1e-3, 2e-3)


def make_activations(path: Path, n_train: int, n_held_out: int = 8192) -> None:
    """Normalised activations of the embedded model on its own corpus, shuffled: x, y and held-out ones."""
    model = load_demo().language_model
    world = statements(0)
    order = np.random.default_rng(0).permutation(len(world))
    texts = [f"{world[i].prompt} {world[i].answer}" for i in order]
    rounds = TextBuffers(model, texts, TrainingConfig(features=16, buffer=n_train, held_out=n_held_out))
    learned = rounds(0)
    held_out = read_activations(model, rounds.held_out, "hook_resid_mid", "hook_mlp_out")
    shuffled = torch.randperm(learned.x.shape[1], generator=torch.Generator().manual_seed(0))
    tensors: dict[str, torch.Tensor] = {}
    for name, train, test in zip("xy", learned, held_out, strict=True):
        normaliser = Normaliser.of(train)
        tensors[name] = normaliser(train)[:, shuffled].contiguous()
        tensors[f"held_out_{name}"] = normaliser(test).contiguous()
    save_file(tensors, path)


def peer_python() -> Path | None:
    """Python of the peer's environment, made if need be; None, with a line that says why, where it cannot be."""
    python = PEER / "bin" / "python"
    if (PEER / "ready").exists():
        return python
    print("making an environment for OpenMOSS's trainer (once, a few minutes)", flush=True)
    venv.create(PEER, with_pip=True)
    for packages in PEER_PACKAGES:
        done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
        if done.returncode:
            print(f"OpenMOSS's trainer cannot be installed, so it is left out: {done.stderr.strip()[-300:]}")
            return None
    (PEER / "ready").touch()
    return python


def measure(python: Path | str, who: str, data: Path, **settings: Any) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [str(python), str(WORKER), who, str(data), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(f"{who} {settings} failed:\n{done.stderr[-2000:]}")
    found = {"who": who, **settings, **json.loads(done.stdout.splitlines()[-1])}
    print(
        f"{who:>8} {'bf16' if settings['half'] else 'fp32'} at {settings['rate']:g}: {found['tokens_per_cpu_s']:9,.0f} "
        f"tokens per CPU second, normalised MSE {found['mse']:.4f} at L0 {found['l0']:.1f}, dead {found['dead']:.1%}",
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("training.json"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    if arguments.device == "cuda":
        training_gpu.main(arguments.out)
        return
    peer = peer_python()
    whos: dict[str, Path | str] = {"ours": sys.executable, "dense": sys.executable} | ({"peer": peer} if peer else {})
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "activations.safetensors"
        make_activations(data, n_train=131_072)
        for rate in RATES:
            for who, python in whos.items():
                runs.append(measure(python, who, data, steps=arguments.steps, rate=rate, half=False))
            runs.append(measure(sys.executable, "ours", data, steps=arguments.steps, rate=rate, half=True))

    def best(who: str, half: bool = False) -> dict[str, float]:
        own = [run for run in runs if run["who"] == who and run["half"] == half]
        return {
            "tokens_per_cpu_s": max(run["tokens_per_cpu_s"] for run in own),
            "mse": min(run["mse"] for run in own),
            "gflops": max(run["gflops"] for run in own),
        }

    ours, half = best("ours"), best("ours", half=True)
    print(f"product rate of one thread: {ours['gflops']:.0f} GFLOP/s in fp32, {half['gflops']:.0f} in bf16")
    table: dict[str, Any] = {"ours fp32": ours, "ours bf16": half}
    for who in [who for who in whos if who != "ours"]:
        other = table[who] = best(who)
        faster = ours["tokens_per_cpu_s"] / other["tokens_per_cpu_s"]
        print(f"ours beside {who}: {faster:.1f} times as fast, {ours['mse'] / other['mse']:.2f} of its error")
        other |= {"times_faster": faster, "share_of_error": ours["mse"] / other["mse"]}
    machine = platform.processor() or platform.machine()
    arguments.out.write_text(json.dumps({"machine": machine, "table": table, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
