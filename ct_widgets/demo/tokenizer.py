"""The demo's word-level tokenizer: one token per word, number, operator or punctuation mark; spaces only separate."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from ct_widgets.demo.corpus import N_NUMBERS

BOS, PAD, UNK = "<bos>", "<pad>", "<unk>"
_WORD_OR_MARK = Regex(r"[\p{L}\p{M}]+|\p{N}+|[^\s\p{L}\p{M}\p{N}]")


def _core(words: Iterable[str]) -> Tokenizer:
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNK))
    core.normalizer = normalizers.NFC()  # pyright: ignore[reportAttributeAccessIssue]
    # Tokens are what the pattern matches; everything else (white space) is dropped.
    core.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(_WORD_OR_MARK, behavior="isolated")]
    )
    return core


def build_tokenizer(texts: Iterable[str], n_ctx: int) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary is the special tokens, the numbers 0..198 in order, and the words of `texts`."""
    splitter = _core([UNK])
    words = dict.fromkeys([BOS, PAD, UNK, *map(str, range(N_NUMBERS))])
    for text in texts:
        pieces = splitter.pre_tokenizer.pre_tokenize_str(splitter.normalizer.normalize_str(text))  # pyright: ignore
        words.update(dict.fromkeys(piece for piece, _ in pieces))
    core = _core(words)
    core.post_processor = TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single=f"{BOS} $A", special_tokens=[(BOS, 0)]
    )
    return _wrap(core, n_ctx)


def load_tokenizer(path: Path, n_ctx: int) -> PreTrainedTokenizerFast:
    """The tokenizer that `backend_tokenizer.save` wrote to `path`."""
    return _wrap(Tokenizer.from_file(str(path)), n_ctx)


def _wrap(core: Tokenizer, n_ctx: int) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        name_or_path="ct-widgets-demo",  # TransformerLens asks for it
        add_bos_token=True,
        bos_token=BOS,
        eos_token=PAD,  # no statement is marked as ended; a missing one would be added beyond the vocabulary
        pad_token=PAD,
        unk_token=UNK,
        model_max_length=n_ctx,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )
