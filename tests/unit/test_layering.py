"""Only `language_model/` knows TransformerLens: elsewhere there is no bridge attribute and no name of a hook point."""

from __future__ import annotations

import re
from pathlib import Path

import ct_widgets

ROOT = Path(ct_widgets.__file__).parent
KNOWLEDGE = re.compile(
    r"\.bridge\b|hook_(resid|mlp|attn|pattern|scale)|hook_in\b|hook_out\b|hook_normalized|blocks\.\d|blocks\.\{"
    r"|\.hook_dict|\.submodules|original_component|original_model|ln_final|\.to_tokens\("
)


def test_only_language_model_knows_bridges_and_hook_points() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] != "language_model"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if KNOWLEDGE.search(line)
    }
    assert not found, "\n".join(sorted(found))
