"""The tokens of a vocabulary as bytes: characters may be spread over several tokens.

A store carries its vocabulary, so that it can be read without the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """data: all tokens' bytes [..], start: [v + 1] where each begins; spaced: whether a space parts any two tokens."""

    data: npt.NDArray[np.uint8]
    start: npt.NDArray[np.uint32]
    spaced: bool

    def __len__(self) -> int:
        return len(self.start) - 1

    @classmethod
    def of(cls, tokens: Iterable[bytes], *, spaced: bool) -> Vocabulary:
        """Make a vocabulary from the bytes of every token."""
        pieces = list(tokens)
        start = np.zeros(len(pieces) + 1, np.uint32)
        np.cumsum([len(piece) for piece in pieces], out=start[1:])
        return cls(np.frombuffer(b"".join(pieces), np.uint8), start, spaced)

    def token(self, i: int) -> bytes:
        """Return the bytes of token `i`."""
        if not 0 <= i < len(self):
            return f"<{i}>".encode()
        return self.data[int(self.start[i]) : int(self.start[i + 1])].tobytes()

    def text(self, i: int) -> str:
        """Return token `i` as text; bytes that are not a whole character print as escapes."""
        return self.token(i).decode("utf-8", "backslashreplace")

    def pieces(self, ids: Iterable[int]) -> list[tuple[str, int]]:
        """Cut tokens into (text, number of tokens); tokens that share a character stay together."""
        out: list[tuple[str, int]] = []
        held, count = b"", 0
        for i in ids:
            held, count = held + self.token(int(i)), count + 1
            # At most three bytes of a character can be missing; what still does not read is not UTF-8.
            if _is_whole(held) or count > 4:
                out.append((held.decode("utf-8", "backslashreplace"), count))
                held, count = b"", 0
        return [*out, (held.decode("utf-8", "backslashreplace"), count)] if count else out

    def join(self, ids: Iterable[int]) -> str:
        """Join tokens to running text."""
        return (" " if self.spaced else "").join(text for text, _ in self.pieces(ids))


def _is_whole(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        # A damaged character stays damaged, whatever follows; an unfinished one is at the end.
        return not (error.reason == "unexpected end of data" and len(data) - error.start < 4)
    return True


def read_vocabulary(tokenizer: Any, size: int) -> Vocabulary:
    """Read the vocabulary of a Hugging Face tokenizer; ids below `size` that it does not know become numbers."""
    if tokenizer is None:
        return Vocabulary.of((f"<{i}>".encode() for i in range(size)), spaced=False)
    known = min(size, len(tokenizer))
    names: list[Any] = tokenizer.convert_ids_to_tokens(list(range(known)))
    special = set(tokenizer.all_special_ids)
    kind = _kind(tokenizer)
    tokens: list[bytes] = []
    for i, name in enumerate(names):
        if i in special or name is None:
            tokens.append(str(name or f"<{i}>").encode("utf-8", "replace"))
        elif kind == "byte-level":
            tokens.append(_from_byte_level(name))
        elif kind == "sentencepiece":
            match = _BYTE_TOKEN.fullmatch(name)
            tokens.append(bytes([int(match[1], 16)]) if match else name.replace("▁", " ").encode("utf-8", "replace"))
        else:
            tokens.append((str(tokenizer.decode([i])) or name).encode("utf-8", "replace"))
    tokens += [f"<{i}>".encode() for i in range(known, size)]
    return Vocabulary.of(tokens, spaced=kind == "words")


def _kind(tokenizer: Any) -> str:
    """Find out how the names of tokens spell their text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = repr(getattr(backend, "decoder", None))
    if "ByteLevel" in decoder:
        return "byte-level"
    if "▁" in decoder or "Metaspace" in decoder or hasattr(tokenizer, "sp_model"):
        return "sentencepiece"
    return "words" if "None" in decoder else "other"


@cache
def _byte_level_alphabet() -> dict[str, int]:
    """Map characters to bytes: byte-level tokenizers write each as itself if printable, or as the next from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def _from_byte_level(name: str) -> bytes:
    alphabet = _byte_level_alphabet()
    if all(character in alphabet for character in name):
        return bytes(alphabet[character] for character in name)
    return name.encode("utf-8", "replace")  # added later, as plain text
