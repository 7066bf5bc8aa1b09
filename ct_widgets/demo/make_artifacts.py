"""Trains the demo model anew: `python -m ct_widgets.demo.make_artifacts`, or `--only` parts of it.

Stops and resumes: what was reached is kept in the scratch directory. Axes as in `corpus.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from ct_widgets.demo import language_model_training
from ct_widgets.demo.artifact_files import ARTIFACTS, load_bridge, read_json, save_bridge, save_features, write_json
from ct_widgets.demo.card import render
from ct_widgets.demo.corpus import MIX, N_INDUCTION, Corpus, statements
from ct_widgets.demo.evaluation import accuracy, comparison, corpus_statistics, family_metrics, transcoder_metrics
from ct_widgets.demo.language_model_training import architecture
from ct_widgets.demo.tokenizer import build_tokenizer
from ct_widgets.demo.transcoder_data import alignment_batch, training_round
from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel, native_bridge
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.training import (
    KLFinetuning,
    Training,
    TrainingConfig,
    finetune_kl,
    keep_strongest,
    read_activations,
    train,
)
from ct_widgets.transcoders import Transcoder

SEED = 0
LANGUAGE_MODEL = language_model_training.Recipe(seed=SEED)
TRANSCODER = TrainingConfig(
    features=768,
    activation="jumprelu",
    steps=4000,
    batch_size=512,
    learning_rate=1.5e-3,
    sparsity=0.36,
    preactivation=3e-3,
    bf16_matmul=True,
    seed=SEED,
)
ALIGNMENT = KLFinetuning(sparsity=0.22, preactivation=1.2e-2, steps=400, learning_rate=8e-4, kl=80.0)
WIDTH = 600  # features per layer that are kept after alignment, which leaves many in the upper layers without a use
FINISH = replace(ALIGNMENT, sparsity=0.4, steps=120, learning_rate=5e-4)


class Stages(NamedTuple):
    """How a transcoder is trained: on activations, inside the model, and there again when it is narrower, if at all."""

    base: TrainingConfig = TRANSCODER
    alignment: KLFinetuning = ALIGNMENT
    width: int | None = WIDTH
    finish: KLFinetuning = FINISH


STAGES = Stages()
PER_LAYER = Stages(
    base=replace(TRANSCODER, kind="plt", features=WIDTH, sparsity=0.45),
    alignment=replace(ALIGNMENT, sparsity=0.6, steps=ALIGNMENT.steps + FINISH.steps),
    width=None,
)
"""As many tokens in each way of training as the cross-layer transcoder learns from."""


class World(NamedTuple):
    """The corpus with its tokenizer."""

    corpus: Corpus
    tokenizer: PreTrainedTokenizerFast


PARTS = ("language-model", "transcoders", "measures")
"""Parts that can be made alone, on top of existing files: the language model; its transcoders; examples of features,
metrics and card."""


def build_world(seed: int = SEED) -> World:
    """Make the statements that everything is trained and measured on."""
    texts = [f"{statement.prompt} {statement.answer}" for statement in statements(seed)]
    tokenizer = build_tokenizer(texts, architecture(0, seed)["n_ctx"])
    return World(Corpus.build(seed, tokenizer), tokenizer)


def make_language_model(
    world: World, out: Path, scratch: Path, device: str, recipe: language_model_training.Recipe = LANGUAGE_MODEL
) -> dict[str, Any]:
    """Train the language model, or finish it, and write its files to `out`; returns how it was trained."""
    config = architecture(len(world.tokenizer), recipe.seed)
    bridge = native_bridge(config, world.tokenizer)
    module = LanguageModel(bridge.to(device)).module
    _, seconds = language_model_training.train(module, world.corpus, recipe, scratch)
    save_bridge(out, bridge, config, world.tokenizer)
    return {
        "config": config,
        "recipe": dataclasses.asdict(recipe),
        "rows": sum(sum(group.values()) for group in MIX) + N_INDUCTION,
        "parameters": sum(p.numel() for p in module.parameters()),
        "seconds": seconds,
        "machine": machine(device),
    }


def make_transcoder(world: World, out: Path, scratch: Path, device: str, stages: Stages = STAGES) -> dict[str, Any]:
    """Train the transcoder of the model in `out`, or finish it, and write it beside; returns how it was trained."""
    model = LanguageModel(load_bridge(out).to(device))
    config = stages.base

    def read(index: int) -> Any:
        sequences = training_round(world.corpus, config.seed, index)
        return read_activations(model, sequences, config.input_hook, config.output_hook)

    training = train(config, read, scratch, model_name=model.name, name=f"ct-widgets-demo-{config.kind}", show=True)
    if not training.finished:
        raise TrainingError(f"interrupted after {len(training.history)} steps; run it again to go on")
    seconds = [training.seconds]

    def aligned(training: Training, alignment: KLFinetuning, first: int, directory: Path) -> Training:
        return finetune_kl(
            training,
            alignment,
            model,
            lambda step: alignment_batch(world.corpus, config.seed, first + step),
            directory=directory,
            show=True,
        )

    training = aligned(training, stages.alignment, 0, scratch)
    seconds.append(training.seconds)
    if stages.width is not None:
        training = keep_strongest(training, read(0), stages.width)
        training = aligned(training, stages.finish, stages.alignment.steps, scratch / "narrow")
        seconds.append(training.seconds)
    training.transcoder.save(out / config.kind)
    times = np.diff(seconds, prepend=0).tolist()
    return {"stages": stages_as_json(stages), "seconds": times, "machine": machine(device)}


def stages_as_json(stages: Stages) -> dict[str, Any]:
    """The stages as JSON values."""
    names = ("base", "alignment") if stages.width is None else ("base", "alignment", "finish")
    return {name: dataclasses.asdict(getattr(stages, name)) for name in names} | {"width": stages.width}


def machine(device: str) -> str:
    """Describe the machine that training times are of."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else f"{torch.get_num_threads()} CPU core(s)"


def measure(world: World, out: Path, trained: dict[str, Any]) -> dict[str, Any]:
    """Everything that the card reports, from the files in `out`."""
    model = LanguageModel(load_bridge(out))
    clt, plt = Transcoder.load(out / "clt"), Transcoder.load(out / "plt")
    return {
        "seed": SEED,
        "language_model": trained["language_model"] | {"accuracy": accuracy(model, world.corpus)},
        "transcoder": trained["transcoder"] | transcoder_metrics(model, clt, world.corpus, SEED),
        "families": family_metrics(ReplacementModel(model, clt)),
        "per_layer_transcoder": trained["per_layer_transcoder"] | transcoder_metrics(model, plt, world.corpus, SEED),
        "evaluation": comparison(model, clt, plt),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the demo model and write its card.")
    parser.add_argument("--out", type=Path, default=ARTIFACTS, help="where the files go")
    parser.add_argument("--scratch", type=Path, default=Path("build/demo"), help="where checkpoints are kept")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="trains; the CPU measures"
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="parts to make on top of the others")
    arguments = parser.parse_args()
    out, scratch, device, parts = arguments.out, arguments.scratch, arguments.device, arguments.only
    world, path = build_world(), out / "metrics.json"
    found = read_json(path) if path.exists() else {}
    if "language-model" in parts:
        found = {"language_model": make_language_model(world, out, scratch, device)}
    if "transcoders" in parts:
        found["transcoder"] = make_transcoder(world, out, scratch, device)
        found["per_layer_transcoder"] = make_transcoder(world, out, scratch / "plt", device, PER_LAYER)
    write_json(path, found)
    if "measures" in parts:
        save_features(out, SEED)
        write_json(path, measure(world, out, found))
        write_json(out / "corpus.json", corpus_statistics(world.corpus))
        (out.parent / "CARD.md").write_text(render(read_json(path)), encoding="utf-8")


if __name__ == "__main__":
    main()
