"""Prompts to tokens, frozen runs, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import FAMILIES, GOLDEN, NATIVE, UNKNOWN, random_transcoder
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ct_widgets.errors import ModelError, PromptError, TargetError, TranscoderError
from ct_widgets.language_model import NORMED, LanguageModel, hooked_pass, load_bridge, native_bridge, native_state
from ct_widgets.replacement_model import ReplacementModel


@pytest.fixture(scope="module")
def gpt2() -> LanguageModel:
    return LanguageModel(load_bridge(GOLDEN / "gpt2-clt" / "model"))


def test_text_and_ids_give_the_same_tokens(gpt2: LanguageModel) -> None:
    ids = gpt2.tokens("t3 t17 t5")
    assert ids.tolist() == [0, 3, 17, 5]  # one BOS, put there once
    assert gpt2.tokens("<bos> t3 t17 t5").tolist() == [0, 3, 17, 5]
    assert gpt2.tokens([3, 17]).tolist() == [3, 17]  # ids are taken as they are
    assert gpt2.str_tokens(ids) == ["<bos>", "t3", "t17", "t5"]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "the prompt is empty"),
        ("   ", "the prompt is empty"),
        ([], "the prompt is empty"),
        ([1] * 33, "has 33 tokens, .* reads at most 32"),
        ("t1 " * 40, "has 41 tokens, .* reads at most 32"),
        ([3, 60], "token id 60 does not exist"),
        ([-1], "token id -1 does not exist"),
    ],
)
def test_prompts_that_do_not_fit(gpt2: LanguageModel, prompt: Any, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        gpt2.tokens(prompt)


def test_targets_by_text(gpt2: LanguageModel) -> None:
    assert gpt2.single_token("t17") == 17
    with pytest.raises(TargetError, match="is 2 tokens"):
        gpt2.single_token("t1 t2")


def test_unknown_words_are_named(tmp_path: Path) -> None:
    core = Tokenizer(WordLevel({"<unk>": 0, "one": 1, "two": 2, "<bos>": 3}, unk_token="<unk>"))
    core.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", bos_token="<bos>").save_pretrained(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    model = LanguageModel(native_bridge(NATIVE, tokenizer=tokenizer))
    assert model.single_token("two") == 2
    with pytest.raises(TargetError, match="'three' is not in the vocabulary"):
        model.single_token("three")
    with pytest.raises(PromptError, match="'three' is not in the vocabulary"):
        model.tokens("one three two")
    with pytest.raises(PromptError, match="'three', 'four' are not in the vocabulary"):
        model.tokens("one three four three two")


def test_a_model_without_tokenizer_takes_ids_only() -> None:
    model = LanguageModel(native_bridge(NATIVE))
    assert model.tokens([1, 2]).tolist() == [1, 2]
    assert model.str_tokens([7]) == ["<7>"]
    with pytest.raises(PromptError, match="has no tokenizer; pass token ids"):
        model.tokens("one")
    with pytest.raises(TargetError, match="by its token id"):
        model.single_token("one")


@pytest.mark.parametrize("family", ["native ln", "native rms", *FAMILIES])
def test_frozen_map_reproduces_the_run(make_bridge: Callable[[str], Any], family: str) -> None:
    model = LanguageModel(make_bridge(family))
    run = model.frozen_run(model.tokens([3, 17, 5, 41, 29, 58]), "mlp.hook_in")
    assert run.disagreement(model.frozen_map) < 1e-5
    torch.testing.assert_close(run.logits, model.logits(run.tokens[None])[0])


@pytest.mark.parametrize("family", ["native ln", *FAMILIES])
@pytest.mark.parametrize("watched", [False, True])
def test_the_last_logits_alone(
    make_bridge: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, family: str, watched: bool
) -> None:
    """Through the library that large vocabularies get, whose layout a user's own hook does not see."""
    monkeypatch.setattr("ct_widgets.linear._FEWEST", 1)
    model, seen = LanguageModel(make_bridge(family)), []
    tokens = model.tokens([3, 17, 5, 41])
    expected = model.logits(tokens[None])[0, -1:]
    hooks = [("unembed.hook_out", lambda logits, hook: seen.append(logits[0, -1:].clone()))] if watched else []
    with model.bridge.hooks(fwd_hooks=hooks):
        torch.testing.assert_close(model.frozen_run(tokens, "mlp.hook_in", only_last_logits=True).logits, expected)
    assert len(seen) == watched
    assert not model.bridge.hook_dict["unembed.hook_in"].fwd_hooks


def test_a_family_that_computes_more_than_is_known_is_not_trusted(make_bridge: Callable[[str], Any]) -> None:
    """A block that scales its attention output, say: the frozen map would give a wrong graph."""
    model = LanguageModel(make_bridge("gpt2"))
    tokens = model.tokens([3, 17, 5])
    assert model.explicit_map(model.frozen_run(tokens)) is not None
    attention = model.bridge.original_model.transformer.h[1].attn
    handle = attention.register_forward_hook(lambda module, args, out: (1.5 * out[0], *out[1:]))
    try:
        assert model.explicit_map(model.frozen_run(tokens)) is None
    finally:
        handle.remove()


@pytest.mark.parametrize(("family", "scale"), [("granite", 0.5), ("cohere", 0.25), ("gpt2", 1.0), ("gemma2", 1.0)])
def test_scaled_logits_are_measured(make_bridge: Callable[[str], Any], family: str, scale: float) -> None:
    model = LanguageModel(make_bridge(family))
    assert model.unembedding.scale == pytest.approx(scale, rel=1e-5)
    run = model.frozen_run(model.tokens([3, 17, 5]), "mlp.hook_in")
    torch.testing.assert_close(model.unembedding(run.normed_final), run.logits, rtol=1e-4, atol=1e-5)


def test_native_weights_come_back(make_bridge: Callable[[str], Any]) -> None:
    bridge = make_bridge("native ln")
    state = {name: value.clone() for name, value in native_state(bridge).items()}
    again = native_bridge(NATIVE | {"normalization_type": "LN"}, state=state)
    ids = torch.tensor([[3, 17, 5]])
    torch.testing.assert_close(LanguageModel(again).logits(ids), LanguageModel(bridge).logits(ids))
    name = next(iter(state))
    with pytest.raises(ModelError, match="the configuration asks for"):
        native_bridge(NATIVE | {"normalization_type": "LN"}, state=state | {name: state[name][:-1]})


def test_what_is_no_bridge() -> None:
    with pytest.raises(ModelError, match="expected a TransformerBridge"):
        LanguageModel(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_layers": 4}, "transcoder has 4 layers, .* has 3; was it trained on another model"),
        ({"d_model": 20}, "transcoder has d_model 20, .* has 24"),
        ({"feature_output_hook": "hook_resid_post"}, "can be replaced at 'hook_mlp_out' only"),
        ({"feature_output_hook": "mlp.hook_out"}, None),
    ],
)
def test_transcoders_that_do_not_fit(
    make_bridge: Callable[[str], Any], settings: dict[str, Any], message: str | None
) -> None:
    transcoder = random_transcoder(**({"n_layers": 3, "d_model": 24} | settings))
    if message is None:
        ReplacementModel(make_bridge("gpt2"), transcoder)
        settings = settings | {"n_layers": 3}
        # On Gemma-2 a norm follows that place, so it is another one.
        message = "can be replaced at 'hook_mlp_out' only"
        with pytest.raises(TranscoderError, match=message):
            ReplacementModel(make_bridge("gemma2"), transcoder)
        return
    with pytest.raises(TranscoderError, match=message):
        ReplacementModel(make_bridge("gpt2"), transcoder)


def test_a_read_point_that_does_not_exist(make_bridge: Callable[[str], Any]) -> None:
    model = ReplacementModel(make_bridge("gpt2"), random_transcoder(3, 24, feature_input_hook="attn.hook_z"))
    with pytest.raises(ModelError, match=r"reads 'attn.hook_z'; supported read points"):
        model.attribute([3, 17, 5])
    parallel = ReplacementModel(make_bridge("pythia"), random_transcoder(3, 24))
    with pytest.raises(ModelError, match=r"has no hook 'blocks.0.hook_resid_mid'"):
        parallel.attribute([3, 17, 5])


@pytest.mark.parametrize("family", ["native ln", *FAMILIES])
def test_a_batch_is_recorded_as_its_prompts_are(make_bridge: Callable[[str], Any], family: str) -> None:
    model = LanguageModel(make_bridge(family))
    tokens = torch.tensor([[3, 17, 5, 41], [3, 22, 9, 6]])
    batch = model.frozen_run(tokens, "mlp.hook_in")
    assert batch.disagreement(model.frozen_map) < 1e-4
    for n, row in enumerate(tokens):
        alone = model.frozen_run(row, "mlp.hook_in")
        for name in ("pattern", "resid_pre", "attn_out", "mlp_out", "mlp_input"):
            torch.testing.assert_close(getattr(batch, name)[:, n], getattr(alone, name), rtol=1e-4, atol=1e-5)
        for name, scale in alone.scales.items():
            torch.testing.assert_close(batch.scales[name][..., n, :], scale, rtol=1e-4, atol=1e-5)
        for name in ("embedding", "position_embedding", "resid_final", "normed_final", "logits"):
            torch.testing.assert_close(getattr(batch, name)[n], getattr(alone, name), rtol=1e-4, atol=1e-5)
        for layer in range(model.n_layers):
            weighted = batch.weighted_pattern(layer)[n]
            torch.testing.assert_close(weighted, alone.weighted_pattern(layer), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["native ln", *FAMILIES, *UNKNOWN])
def test_a_hooked_pass_that_replaces_all_by_what_it_was_changes_nothing(
    make_bridge: Callable[[str], Any], family: str
) -> None:
    model = LanguageModel(make_bridge(family))
    run = model.frozen_run(torch.tensor([[3, 17, 5, 41], [3, 22, 9, 6]]), "mlp.hook_in")
    seen: list[Tensor] = []

    def same(layer: int, read: Tensor, own: Tensor) -> Tensor:
        seen.append(own)
        return run.mlp_out[layer]

    embedding = run.embedding + run.position_embedding
    passed = hooked_pass(
        model,
        run.tokens,
        same,
        input_hook="mlp.hook_in",
        patterns=run.pattern,
        scales=run.scales,
        embedding=embedding,
        keep=[NORMED],
    )
    torch.testing.assert_close(passed.logits, run.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.stack(passed.inputs), run.mlp_input, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.stack(seen), run.mlp_out, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(passed.kept[NORMED], run.normed_final, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_hooked_pass_leaves_no_hook_behind(make_bridge: Callable[[str], Any], error: type[BaseException]) -> None:
    model = LanguageModel(make_bridge("native ln"))

    def interrupted(layer: int, read: Tensor, own: Tensor) -> Tensor:
        raise error

    with pytest.raises(error):
        hooked_pass(model, torch.tensor([[3, 17]]), interrupted, keep=[NORMED])
    assert not [hook for point in model.bridge.hook_dict.values() for hook in point.fwd_hooks]
    with pytest.raises(ModelError, match=r"has no hook 'blocks.0.hook_nowhere'"):
        hooked_pass(model, torch.tensor([[3, 17]]), interrupted, input_hook="hook_nowhere")


def test_a_hooked_pass_is_differentiable_on_request(make_bridge: Callable[[str], Any]) -> None:
    model = LanguageModel(make_bridge("native rms"))
    tokens = torch.tensor([[3, 17, 5]])
    leaf = model.frozen_run(tokens).mlp_out.requires_grad_()
    passed = hooked_pass(model, tokens, lambda layer, read, own: leaf[layer], grad=True)
    (gradient,) = torch.autograd.grad(passed.logits[0, -1, 7], leaf)
    step = 1e-2 * torch.randn(leaf.shape, generator=torch.Generator().manual_seed(0))
    values = [leaf.detach() + sign * step for sign in (1, -1)]
    up, down = (hooked_pass(model, tokens, lambda layer, read, own, to=to: to[layer]).logits for to in values)
    assert not up.requires_grad
    torch.testing.assert_close((up - down)[0, -1, 7] / 2, (gradient * step).sum(), rtol=1e-2, atol=1e-4)
