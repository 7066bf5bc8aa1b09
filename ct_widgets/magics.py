"""IPython magics: `%load_ext ct_widgets`, then `%trace PROMPT`."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from IPython.display import display

from ct_widgets.errors import CTWidgetsError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ct_widgets.graph import AttributionGraph
    from ct_widgets.widgets.compare_widget import CompareWidget

DEFAULT_MODEL = "model"
"""Name in the notebook that the model is looked for under."""

_OPTION = re.compile(r"--model(?:\s+|=)(\S+)\s*")


@magics_class
class TraceMagics(Magics):
    """%trace and %%trace."""

    @no_var_expand
    @line_cell_magic
    def trace(self, line: str, cell: str | None = None) -> AttributionGraph | CompareWidget | None:
        r"""Trace a prompt: the attribution graph of what the current model says next.

        The current model is the variable `model` of the notebook, or the one named by --model:

            model = ct.load_demo()
            %trace calc: 36+59=
            graph = %trace --model other calc: 36+59=

        The prompt is all the rest of the line, as it stands. Quote it where spaces at its ends matter: %trace "a: ".

            %%trace
            calc: 36+59=
            calc: 36+58=

        traces several prompts, one per line: two are shown side by side, more below each other.
        """
        name, rest = _options(line)
        if cell is None:
            if not rest:
                raise UsageError("%trace needs a prompt, such as: %trace calc: 36+59=")
            return self._graphs(name, [rest])[0]
        if rest:
            raise UsageError(f"prompts of %%trace go on the lines below it, one per line; its first line has {rest!r}")
        prompts = [prompt for text in cell.splitlines() if (prompt := text.strip())]
        if not prompts:
            raise UsageError("%%trace needs prompts on the lines below it, one per line")
        graphs = self._graphs(name, prompts)
        if len(graphs) == 1:
            return graphs[0]
        if len(graphs) == 2:
            from ct_widgets.widgets.compare_widget import CompareWidget

            return CompareWidget(*graphs, names=prompts)
        display(*graphs)
        return None

    def _graphs(self, name: str, prompts: list[str]) -> list[AttributionGraph]:
        model = self._model(name)
        try:
            return [model.attribute(_unquoted(prompt)) for prompt in prompts]
        except CTWidgetsError as error:  # one line says it all; a traceback through the package would hide it
            raise UsageError(str(error)) from error

    def _model(self, name: str) -> Any:
        """The model that the notebook calls `name`."""
        found = _namespace(self.shell).get(name)
        if _is_model(found):
            return found
        others = model_names(self.shell)
        hint = f"name yours: %trace --model {others[0]} PROMPT" if others else "run model = ct.load_demo() first"
        if found is None:
            raise UsageError(f"no model is set: this notebook has no variable {name!r}; {hint}")
        raise UsageError(f"{name!r} is a {type(found).__name__}, not a ReplacementModel; {hint}")


def model_names(shell: InteractiveShell | None) -> list[str]:
    """Names of the models in the notebook's namespace."""
    return sorted(name for name, value in _namespace(shell).items() if not name.startswith("_") and _is_model(value))


def complete(shell: InteractiveShell, event: Any) -> list[str]:
    """Completions of a line of %trace: the option, then the names of models."""
    words = event.line[: len(event.line) - len(event.symbol)].split()
    if words[-1] == "--model":
        return model_names(shell)
    return ["--model"] if len(words) == 1 else []


def load(shell: InteractiveShell) -> None:
    """Add the magics and their completion to `shell`."""
    shell.register_magics(TraceMagics)
    for command in ("%trace", "%%trace"):
        shell.set_hook("complete_command", complete, str_key=command)


def _options(line: str) -> tuple[str, str]:
    """Name of the model, and what follows the options."""
    rest = line.strip()
    option = _OPTION.match(rest)
    if option:
        return option[1], rest[option.end() :]
    if rest.startswith("--"):
        raise UsageError(
            f"{rest.split()[0]} is not an option of %trace, which takes --model NAME; "
            "quote a prompt that begins with dashes"
        )
    return DEFAULT_MODEL, rest


def _unquoted(prompt: str) -> str:
    """The text in `prompt` if it is one Python string literal, else `prompt` itself."""
    if prompt[:1] not in ("'", '"'):
        return prompt
    try:
        value = ast.literal_eval(prompt)
    except (SyntaxError, ValueError):
        return prompt
    return value if isinstance(value, str) else prompt


def _is_model(value: Any) -> bool:
    """Whether `value` can attribute; asked of its type, so that torch need not be loaded to know."""
    return callable(getattr(type(value), "attribute", None))


def _namespace(shell: InteractiveShell | None) -> dict[str, Any]:
    return {} if shell is None else shell.user_ns
