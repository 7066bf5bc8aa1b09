"""Exceptions of ct_widgets. Each message says what was wrong, what was expected and how to fix it."""

from __future__ import annotations


class CTWidgetsError(Exception):
    """Base class of every error that ct_widgets raises on purpose."""


class PromptError(CTWidgetsError, ValueError):
    """A prompt cannot be used: empty, too long, or with a token that the tokenizer does not know."""


class ModelError(CTWidgetsError, ValueError):
    """A language model cannot be used: an unsupported architecture or a configuration out of range."""


class TranscoderError(CTWidgetsError, ValueError):
    """A transcoder does not fit: wrong shapes, wrong model, or inconsistent settings."""


class TargetError(CTWidgetsError, ValueError):
    """An attribution target does not exist or has the wrong form."""


class GraphError(CTWidgetsError, ValueError):
    """An attribution graph is inconsistent, or a node or setting asked of it does not exist."""


class FileFormatError(CTWidgetsError, ValueError):
    """A file is truncated, of another format, or of a newer version than this package reads."""


class WidgetError(CTWidgetsError, ValueError):
    """A widget was given a value that its view cannot show."""


class TrainingError(CTWidgetsError, RuntimeError):
    """Training cannot start or go on; the message names the setting or batch at fault."""


class InterventionError(CTWidgetsError, ValueError):
    """An intervention does not exist in the model, contradicts another one, or has settings that exclude each other."""


class FeatureError(CTWidgetsError, ValueError):
    """A feature, or what is known of it, does not exist or belongs to another transcoder."""
