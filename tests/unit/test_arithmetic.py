"""Operand activations against single prompts, number tokens, weights against direct formulas, figures."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import FAMILIES, random_transcoder

import ct_widgets as ct
from ct_widgets.arithmetic import number_tokens
from ct_widgets.arithmetic.collect import _reader  # pyright: ignore[reportPrivateUsage]
from ct_widgets.arithmetic.numbers import prompt_tokens
from ct_widgets.arithmetic.operands import OperandActivations
from ct_widgets.arithmetic.weights import embedding_weights, output_weights
from ct_widgets.errors import FeatureError, PromptError
from ct_widgets.interventions import Baseline, Method, activations_at, resolve_and_plan
from ct_widgets.interventions.plan import METHODS
from ct_widgets.language_model.prefixes import Prefixes, shared_prefixes
from ct_widgets.replacement_model import ReplacementModel

A, B = (3, 36, 99), (0, 36, 59)


@pytest.fixture(scope="module")
def demo() -> ReplacementModel:
    return ct.load_demo()


def strongest(demo: ReplacementModel, layer: int) -> tuple[int, int]:
    """The feature of a layer that matters most at "=" of 36 + 59: its number is another one after every training."""
    nodes = demo.attribute("calc: 36+59=").nodes.query("kind == 'feature' and layer == @layer and token == '='")
    return layer, int(nodes.nlargest(1, "influence")["index"].iloc[0])


@pytest.fixture(scope="module")
def lookup(demo: ReplacementModel) -> tuple[int, int]:
    return strongest(demo, 0)


@pytest.mark.parametrize("position", [-1, 5])
def test_operand_activations_equal_a_loop_over_single_prompts(demo: ReplacementModel, position: int) -> None:
    operands = demo.operand_activations(a=A, b=B, position=position)
    alone = {
        (i, j): demo.intervene(f"calc: {a}+{b}=", []).activations_before
        for i, a in enumerate(A)
        for j, b in enumerate(B)
    }
    for layer in range(4):
        for index in range(demo.transcoder.n_features(layer)):
            expected = [[float(alone[i, j][layer][position, index]) for j in range(3)] for i in range(3)]
            np.testing.assert_allclose(operands.plot(layer, index), expected, atol=1e-4)
    active = {
        (layer, f)
        for layer in range(4)
        for one in alone.values()
        for f in one[layer][position].nonzero()[:, 0].tolist()
    }
    assert {feature for feature in active if feature in operands} == active
    assert len(operands) == len(active)


@pytest.mark.parametrize("method", METHODS)
def test_operand_activations_under_an_intervention_equal_a_loop(
    demo: ReplacementModel, lookup: tuple[int, int], method: Method
) -> None:
    changes = [ct.Intervention(0, -1, lookup[1], scale=-1), ct.Intervention(1, [3, 5], 7, value=2.0)]
    changes.append(ct.Intervention(2, -1, direction=torch.linspace(-1, 1, 128), value=0.5))
    operands = demo.operand_activations(a=A, b=B, interventions=changes, method=method)
    assert operands.before is not None
    for i, a in enumerate(A):
        for j, b in enumerate(B):
            alone = demo.intervene(f"calc: {a}+{b}=", changes, method=method)
            for layer in range(4):
                for where, expected in ((operands, alone.activations), (operands.before, alone.activations_before)):
                    found = [where.plot(layer, index)[i, j] for index in range(demo.transcoder.n_features(layer))]
                    np.testing.assert_allclose(found, expected[layer][-1], atol=1e-3)
    layer, index = int(operands.layer[5]), int(operands.index[5])
    np.testing.assert_allclose(
        operands.difference.plot(layer, index),
        operands.plot(layer, index) - operands.before.plot(layer, index),
        atol=1e-6,
    )
    assert float(np.abs(operands.difference.plot(*lookup)).sum()) > 0
    with pytest.raises(FeatureError, match="no intervention"):
        _ = operands.before.difference


@pytest.mark.parametrize("settings", [{}, {"feature_input_hook": "mlp.hook_in", "kind": "plt", "skip": True}])
@pytest.mark.parametrize("method", METHODS)
def test_interventions_on_a_skip_transcoder_equal_a_loop(
    make_bridge: Callable[[str], Any], method: Method, settings: dict[str, Any]
) -> None:
    model = ReplacementModel(make_bridge("native rms"), random_transcoder(3, 24, **settings))
    tokens = np.array([[3, 17, 5, 41, 29], [3, 22, 5, 9, 29]])
    changes = [ct.Intervention(0, 2, 4, value=1.5), ct.Intervention(1, 3, 2, scale=-2.0)]
    change, plan = resolve_and_plan(changes, model.transcoder, 5, method)
    after, _ = activations_at(Baseline(model, torch.from_numpy(tokens)), plan, change, 4)
    for n, row in enumerate(tokens.tolist()):
        alone = model.intervene(row, changes, method=method)
        for layer in range(3):
            np.testing.assert_allclose(after[layer][n], alone.activations[layer][4], atol=1e-4)


def test_prefixes_are_all_there_and_counted_once() -> None:
    tokens = np.array([[0, 1, 5, 2], [0, 1, 5, 3], [0, 2, 5, 2], [0, 1, 5, 2]])
    prefixes = Prefixes.of(tokens, torch.device("cpu"))
    assert prefixes.start == (0, 1, 3, 5, 8)
    chains = [tuple(prefixes.token[chain].tolist()) for chain in prefixes.chain[-1]]
    assert [chains[i] for i in prefixes.prompt.tolist()] == [tuple(row) for row in tokens.tolist()]


@pytest.mark.parametrize("family", ["native ln", "native rms", *FAMILIES])
def test_shared_prefixes_do_what_the_model_does_or_are_not_used(make_bridge: Callable[[str], Any], family: str) -> None:
    hook = "mlp.hook_in"
    model = ReplacementModel(make_bridge(family), random_transcoder(3, 24, feature_input_hook=hook))
    tokens = np.array([[3, x, 5, y, 29] for x in range(6, 12) for y in range(12, 17)])
    shared = shared_prefixes(model.language_model, tokens, hook)
    # Positions enter these at the embedding; rotations are left to the model itself.
    assert (shared is not None) == (family in ("native ln", "native rms", "gpt2"))
    if shared is not None:
        kept = model.language_model.activations(
            torch.from_numpy(tokens), [f"blocks.{layer}.{hook}" for layer in range(3)]
        )
        for found, expected in zip(shared.inputs(tokens), kept.values(), strict=True):
            torch.testing.assert_close(found, expected[:, -1], rtol=1e-4, atol=1e-4)


def test_both_ways_of_reading_agree_on_the_embedded_model(demo: ReplacementModel) -> None:
    tokens = prompt_tokens(demo.language_model, "calc: {a}+{b}=", range(32), range(32))
    shared = _reader(demo, tokens, 6)(tokens[::50])[0]
    plain = _reader(demo, tokens[::50], 6)(tokens[::50])[0]
    for x, y in zip(shared, plain, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-3)


class Spaced:
    """A tokenizer in which a number is another token after a space, as in GPT-2."""

    unk_token_id = bos_token_id = None
    digits = r"\d+"

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        pieces = [re.findall(rf" ?{self.digits}| ?[^\s\d]+", text) for text in texts]
        return {"input_ids": [[self.id(piece) for piece in row] for row in pieces]}

    @staticmethod
    def id(piece: str) -> int:
        number = piece.strip()
        return int(number) + 1000 * piece.startswith(" ") if number.isdecimal() else 5000 + ord(number[0])


class Fake:
    """As much of a language model as has to do with tokens."""

    name = "fake"

    def __init__(self, digits: str) -> None:
        self.tokenizer: Any = Spaced()
        self.tokenizer.digits = digits

    def tokens(self, text: str) -> torch.Tensor:
        return torch.tensor(self.tokenizer([text])["input_ids"][0])

    def str_tokens(self, ids: Any) -> list[str]:
        return [f" {i - 1000}" if 1000 <= i < 2000 else str(i) if i < 1000 else chr(i - 5000) for i in map(int, ids)]


def test_split_numbers_are_named(demo: ReplacementModel) -> None:
    one_by_one: Any = Fake(r"\d")
    assert len(number_tokens(one_by_one, range(10))) == 10
    with pytest.raises(PromptError, match=r"no single token for 10, 11, .*17 and 82 more as a in .*' 1', '0'"):
        prompt_tokens(one_by_one, "calc: {a}+{b}=", range(100), range(10))
    with pytest.raises(PromptError, match="no single token for 199 after"):
        number_tokens(demo.language_model, range(190, 200))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"template": "calc: {a}+1="}, r"has no \{b\}"),
        ({"a": [1], "b": [2], "position": 7}, "position 7 does not exist"),
        ({"a": [], "b": [2]}, "no operands"),
    ],
)
def test_settings_without_a_plot_are_refused(demo: ReplacementModel, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        demo.operand_activations(**settings)


def test_the_template_tells_which_token_a_number_is() -> None:
    model: Any = Fake(r"\d+")
    template = "calc: {a}+{b}="
    assert number_tokens(model, [7, 36], template=template, slot="a").tolist() == [1007, 1036]
    assert number_tokens(model, [7, 36], template=template, slot="b").tolist() == [7, 36]
    assert number_tokens(model, [95], template=template).tolist() == [95]
    assert number_tokens(model, [95], template="{a} and {b} are").tolist() == [1095]


def test_weights_equal_direct_formulas(demo: ReplacementModel) -> None:
    t, bridge = demo.transcoder, demo.language_model.bridge
    ids = [demo.language_model.single_token(str(n)) for n in range(100)]
    decoder = t.decoder_vectors(1, torch.tensor([71]))[0].sum(0)
    norm = bridge.ln_final.original_component
    logits = ((decoder - decoder.mean()) * norm.weight.detach()) @ bridge.W_U.detach()
    np.testing.assert_allclose(output_weights(demo, 1, 71), (logits - logits.mean())[ids], atol=1e-5)
    expected = bridge.W_E.detach()[ids] @ t.W_enc[1][71]
    np.testing.assert_allclose(embedding_weights(demo, 1, 71), expected, atol=1e-5)


def test_a_value_knows_its_features(demo: ReplacementModel, lookup: tuple[int, int]) -> None:
    operands = demo.operand_activations(a=range(30, 40), b=range(50, 60))
    table = operands.features.set_index(["layer", "index"])
    plot = operands.plot(*lookup)
    assert lookup in operands
    assert table.loc[lookup, "n_active"] == (plot != 0).sum()
    assert table.loc[lookup, "max"] == plot.max()
    assert table.loc[lookup, "mean"] == pytest.approx(plot[plot > 0].mean())
    with pytest.raises(FeatureError, match="L4/0"):
        operands.plot(4, 0)
    with pytest.raises(ValueError, match="read-only"):
        operands.value[0] = 1.0


def test_families_are_automatic_labels_with_reasons(demo: ReplacementModel, lookup: tuple[int, int]) -> None:
    name = f"L0/{lookup[1]}"
    operands = demo.operand_activations(a=range(30, 60), b=range(40, 70))
    graph = demo.attribute("calc: 36+59=").with_labels(operands)
    assert graph.labels[name].endswith("(auto)")
    assert set(operands.labels) == set(operands.auto_labels)
    demo.features.add_auto_labels(operands.auto_labels)
    label = demo.features[name].auto_label
    assert label is not None
    assert f"{label.text} (auto)" == graph.labels[name]
    assert "of the variance" in label.reason


def test_figures_hold_the_plots(demo: ReplacementModel, lookup: tuple[int, int]) -> None:
    operands = demo.operand_activations(a=range(30, 60), b=range(40, 70))
    figure: Any = demo.operand_plot(f"L0/{lookup[1]}", operands)
    np.testing.assert_array_equal(figure.data[0].z, operands.plot(*lookup))
    assert figure.data[0].customdata[6][19] == 36 + 59
    assert f"L0/{lookup[1]}  " in figure.layout.title.text


def test_weight_figures_hold_the_weights(demo: ReplacementModel, lookup: tuple[int, int]) -> None:
    total = strongest(demo, 2)
    figures: list[tuple[Any, np.ndarray]] = [
        (demo.output_weight_plot(total), output_weights(demo, *total)),
        (demo.embedding_weight_plot(lookup), embedding_weights(demo, *lookup)),
    ]
    for figure, weights in figures:
        np.testing.assert_array_equal(np.array(figure.data[0].z).ravel(), weights)
        np.testing.assert_array_equal(figure.data[1].y, weights)


def test_values_and_families_need_no_torch() -> None:
    script = (
        "import sys, numpy as np\n"
        "from ct_widgets.arithmetic import OperandActivations, classify\n"
        "classify(np.eye(10), range(10), range(10))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert OperandActivations.__dataclass_params__.frozen  # type: ignore[attr-defined]
