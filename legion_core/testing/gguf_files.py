"""Writes small GGUF files, honest ones and liars, for tests of whatever reads them."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

Value = int | float | bool | str | list[str] | list[int]


@dataclass(frozen=True, slots=True)
class ToyTensor:
    """A tensor of zeros; `offset` None follows the one before."""

    name: str
    shape: tuple[int, ...] = (32, 4)
    kind: int = 0
    size: int = 32 * 4 * 4
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class ToyFile:
    """What goes into the file. The counts, where given, replace the true ones."""

    pairs: dict[str, Value] = field(
        default_factory=lambda: {
            "general.architecture": "llama",
            "general.name": "Toy",
            "general.license": "apache-2.0",
            "general.file_type": 0,
            "llama.context_length": 2048,
            "llama.embedding_length": 32,
            "llama.block_count": 2,
            "llama.attention.head_count": 4,
            "llama.attention.head_count_kv": 2,
            "llama.feed_forward_length": 64,
            "tokenizer.ggml.tokens": ["a", "b", "cd"],
            "tokenizer.ggml.token_type": [1, 1, 1],
            "tokenizer.chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}",
        }
    )
    tensors: tuple[ToyTensor, ...] = (ToyTensor("token_embd.weight"), ToyTensor("output.weight"))
    magic: bytes = b"GGUF"
    version: int = 3
    tensor_count: int | None = None
    pair_count: int | None = None
    alignment: int = 32
    cut_bytes: int = 0  # taken off the end


def toy_bytes(toy: ToyFile | None = None) -> bytes:
    """The whole file."""
    toy = toy or ToyFile()
    head = bytearray(toy.magic)
    tensors = len(toy.tensors) if toy.tensor_count is None else toy.tensor_count
    pairs = len(toy.pairs) if toy.pair_count is None else toy.pair_count
    head += struct.pack("<IQQ", toy.version, tensors, pairs)
    for key, value in toy.pairs.items():
        head += _text(key) + _value(value)
    offset = 0
    for tensor in toy.tensors:
        place = offset if tensor.offset is None else tensor.offset
        head += _text(tensor.name) + struct.pack("<I", len(tensor.shape))
        head += b"".join(struct.pack("<Q", extent) for extent in tensor.shape)
        head += struct.pack("<IQ", tensor.kind, place)
        offset = place + -(-tensor.size // toy.alignment) * toy.alignment
    head += bytes(-len(head) % toy.alignment)
    whole = bytes(head) + bytes(sum(-(-t.size // toy.alignment) * toy.alignment for t in toy.tensors))
    return whole[: len(whole) - toy.cut_bytes]


def write_toy(path: Path, toy: ToyFile | None = None) -> Path:
    """Store a toy file and return its path."""
    path.write_bytes(toy_bytes(toy))
    return path


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value) -> bytes:
    match value:
        case bool():
            return struct.pack("<IB", 7, value)
        case int():
            return struct.pack("<Ii", 5, value) if value < 0 else struct.pack("<IQ", 10, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
        case list():
            return _list(value)


def _list(value: list[str] | list[int]) -> bytes:
    head = struct.pack("<I", 9)
    if value and isinstance(value[0], str):
        return head + struct.pack("<IQ", 8, len(value)) + b"".join(_text(str(text)) for text in value)
    return head + struct.pack("<IQ", 5, len(value)) + b"".join(struct.pack("<i", int(n)) for n in value)
