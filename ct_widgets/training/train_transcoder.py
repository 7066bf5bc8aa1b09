"""train_transcoder: from a language model and texts to a transcoder, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import MLP_OUT, LanguageModel
from ct_widgets.language_model.corpus import Source
from ct_widgets.training import parallel
from ct_widgets.training.activations import Activations, Sequences, read_activations
from ct_widgets.training.cache import ActivationCache
from ct_widgets.training.callbacks import Callback, TrainingControl
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.feature_previews import FeaturePreviews
from ct_widgets.training.metrics import dictionary_metrics
from ct_widgets.training.replacement import replacement_metrics
from ct_widgets.training.result import Evaluation, Training
from ct_widgets.training.sources import TextBuffers, language_model
from ct_widgets.training.trainer import train
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder

_FEATURES_PER_DIMENSION = 8


def train_transcoder(
    model: TranscodedModel | LanguageModel | Any,
    texts: Source | ActivationCache,
    config: TrainingConfig | None = None,
    *,
    directory: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    control: TrainingControl | None = None,
    column: str = "text",
    name: str | None = None,
    progress: bool | None = None,
) -> Training:
    """Train a transcoder of `model` on `texts` [CT25]; it is the `.transcoder` of the result.

    model: a TransformerLens bridge, a LanguageModel, or a TranscodedModel, whose transcoder plays no role. It is never
        changed.
    texts: a list of texts or of token ids, a text file (one text per line), a parquet file, or a Hugging Face dataset,
        whose `column` holds the text; or the cache that `cache_activations` made of them.
    config: by default that of `default_config`.
    directory: where checkpoints, `metrics.csv`, `evaluations.json` and finally `transcoder/` go. The same call resumes
        a run there, after Ctrl-C or a crash, to the same result.
    callbacks, control: listeners of the run, and what pauses and stops it from another thread.
    progress: True or False shows or hides the bar; by default it appears after one second.

    PLANNING.md beside this file says how large a dictionary gets, what it needs and how long it takes.

    Raises TrainingError for settings, texts or a directory that cannot be used, and when the loss diverges.

    >>> training = train_transcoder(bridge, "texts.txt", config, directory="my-run")
    >>> ReplacementModel(bridge, training.transcoder).attribute("calc: 36+59=")
    """
    lm = language_model(model)
    config = config or default_config(lm)
    if not lm.writes_to_stream(config.output_hook):  # said now, and not when the first evaluation replaces it
        raise TrainingError(f"output_hook is {config.output_hook!r}; {lm.name} can be replaced at {MLP_OUT!r} only")
    if isinstance(texts, ActivationCache):
        texts.check(config, lm.name)
        buffers = texts
    else:
        buffers = TextBuffers(lm, texts, config, column)
    path = None if directory is None else Path(directory).expanduser()
    training = train(
        config,
        lambda index: Activations(*(part.to(lm.device) for part in buffers(index))),
        path,
        data=buffers.fingerprint,
        model_name=lm.name,
        name=name or f"{lm.name.rsplit('/', 1)[-1]}-{config.kind}",
        evaluate=evaluator(lm, buffers.held_out, config),
        previews=FeaturePreviews(lm, buffers.held_out),
        callbacks=callbacks,
        control=control,
        show=progress,
    )
    if path is not None and training.finished and parallel.rank() == 0:
        training.transcoder.save(path / "transcoder")
    return training


def default_config(model: Any) -> TrainingConfig:
    """Suggest settings: a cross-layer transcoder with 8 features per layer for every dimension of the model."""
    return TrainingConfig(features=_FEATURES_PER_DIMENSION * language_model(model).d_model)


def evaluator(
    model: LanguageModel, held_out: list[Sequences], config: TrainingConfig
) -> Callable[[int, Transcoder], Evaluation]:
    """Make the function that evaluates a transcoder on held-out text, given the number of steps it was trained for."""

    def evaluate(step: int, transcoder: Transcoder) -> Evaluation:
        transcoder = transcoder.to(model.device)
        parts = (read_activations(model, [rows], config.input_hook, config.output_hook) for rows in held_out)
        found = dictionary_metrics(transcoder, parts)
        replaced = replacement_metrics(TranscodedModel(model, transcoder), held_out)
        return Evaluation(
            step, found.overall_mse, float(found.l0.sum()), replaced.top1_agreement, replaced.kl, replaced.recovered
        )

    return evaluate
