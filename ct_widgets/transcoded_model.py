"""A language model together with a transcoder that fits it: what all work below the object a user holds takes."""

from __future__ import annotations

from typing import Any, Self

from ct_widgets.errors import TranscoderError
from ct_widgets.language_model import MLP_OUT, LanguageModel
from ct_widgets.transcoders import Transcoder


class TranscodedModel:
    """A language model and a transcoder that was trained on it, checked to fit each other.

    model: a TransformerLens `TransformerBridge`, or a LanguageModel of one; neither is ever changed.
    Raises TranscoderError where layers, sizes or hook points differ.

    >>> model = TranscodedModel(bridge, Transcoder.load("my-transcoder"))
    """

    def __init__(self, model: LanguageModel | Any, transcoder: Transcoder) -> None:
        self.language_model = model if isinstance(model, LanguageModel) else LanguageModel(model)
        self.transcoder = transcoder.to(self.language_model.device)
        _check_fit(self.language_model, transcoder)

    def with_transcoder(self, transcoder: Transcoder) -> Self:
        """Join the same language model, read once, with another transcoder.

        Raises TranscoderError for one that does not fit.

        >>> model.with_transcoder(Transcoder.load("another")).attribute("calc: 36+59=")
        """
        return type(self)(self.language_model, transcoder)

    def __repr__(self) -> str:
        t = self.transcoder
        return (
            f"{type(self).__name__}({self.language_model.name}, {t.n_layers} layers, d_model {t.d_model}; "
            f"{t.kind.upper()} {t.name}, {sum(map(t.n_features, range(t.n_layers))):,} features)"
        )


def _check_fit(model: LanguageModel, transcoder: Transcoder) -> None:
    says = f"; was it trained on another model? (the transcoder says {transcoder.model_name or 'nothing'})"
    if transcoder.n_layers != model.n_layers:
        raise TranscoderError(f"transcoder has {transcoder.n_layers} layers, {model.name} has {model.n_layers}{says}")
    if transcoder.d_model != model.d_model:
        raise TranscoderError(f"transcoder has d_model {transcoder.d_model}, {model.name} has {model.d_model}{says}")
    if not model.writes_to_stream(transcoder.feature_output_hook):
        raise TranscoderError(
            f"transcoder writes to {transcoder.feature_output_hook!r}; {model.name} can be replaced at {MLP_OUT!r} "
            "only, where the MLP's output enters the residual stream"
        )
