"""Reads and distrusts the header of a GGUF file, in pure Python, before any native loader sees it.

Native loaders have been made to read and write outside their buffers by headers that lie: sizes that overflow, tensors
beyond the end of the file, counts in the billions. Here every number is checked against the file's own length before
it is used, and the work is bounded: at most `METADATA_BYTES_MAX` are read, whatever the file claims.
Format: the GGUF specification of the ggml project, versions 2 and 3.
"""

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from legion_core.kernel.errors import Corrupt, InvalidInput

METADATA_BYTES_MAX: Final = 64 * 1024 * 1024
TENSOR_INFO_BYTES_MAX: Final = 16 * 1024 * 1024
PAIRS_MAX: Final = 65_536
TENSORS_MAX: Final = 100_000
KEY_BYTES_MAX: Final = 1024  # the specification allows 65,535; real ones are below 100
TEXTS_MAX: Final = 2_000_000  # in all arrays; the largest tokenizers have about one million
NESTED_ARRAYS_MAX: Final = 65_536
TEXT_KEPT_BYTES_MAX: Final = 1024 * 1024
NAME_BYTES_MAX: Final = 256  # of a tensor; the native loader holds 64
DIMS_MAX: Final = 4
NESTING_MAX: Final = 3
ALIGNMENT_MAX: Final = 1 << 20
VALUES_KEPT_MAX: Final = 4096  # of a numeric array; per-layer lists are shorter
TEMPLATE_CHARS_MAX: Final = 256 * 1024
INT63_MAX: Final = 2**63 - 1

_READ_BYTES = 1 << 20
_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS: dict[int, struct.Struct] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    _BOOL: struct.Struct("<B"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

# name, values in a block, bytes of a block. Source: ggml.
TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}
# `general.file_type`. Source: llama.cpp.
FILE_TYPES: dict[int, str] = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
}

# A template is a program of the model's maker. These have no business in one; the first is how sandboxes are escaped.
_TEMPLATE_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"__\w+__"), "reaches for Python internals"),
    (re.compile(r"\|\s*attr\b|\bgetattr\b"), "reads attributes by name"),
    (
        re.compile(r"\b(mro|subclasses|globals|builtins|popen|eval|exec|lipsum|cycler)\b\s*[(.\[]"),
        "calls into Python",
    ),
    (re.compile(r"\{%-?\s*(import|include|extends|from)\b"), "loads other templates"),
    (
        re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\U000e0000-\U000e007f]"),
        "holds invisible characters",
    ),
)

_TEXTS_WANTED = frozenset(
    {"general.architecture", "general.name", "general.license", "tokenizer.chat_template"}
)

Scalar = int | float | bool | str


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a checked file says of itself. Zero and "" mean that it does not say."""

    version: int
    architecture: str
    name: str = ""
    licence: str = ""
    parameters: int = 0  # values in all tensors
    quantisation: str = ""
    context_max: int = 0  # tokens it was trained for
    embedding_length: int = 0
    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    kv_values_per_token: int = 0  # keys and values of all layers together
    feed_forward_length: int = 0
    vocabulary: int = 0
    experts: int = 0
    is_embedding_model: bool = False
    has_template: bool = False
    template_warnings: tuple[str, ...] = ()
    tensors: int = 0
    tensor_bytes: int = 0
    data_end_bytes: int = 0  # where the last tensor ends; never beyond the file
    file_bytes: int = 0
    parts: int = 1  # files the model is split into


def read_header(path: Path) -> Header:
    """The header of the file at `path`; blocks for at most about a second.

    Raises InvalidInput if it is no GGUF (or none we know), Corrupt if it is cut short or contradicts itself.
    """
    try:
        file_bytes = path.stat().st_size
        with path.open("rb", buffering=0) as file:
            return parse(file, file_bytes, path.name)
    except OSError as error:
        raise Corrupt(f"{path.name} could not be read: {error.strerror or error}.") from error


def parse(file: BinaryIO, file_bytes: int, label: str) -> Header:
    """As `read_header`, from an open file of a known length; `label` names it in errors."""
    cursor = _Cursor(file, file_bytes, label)
    version, tensor_count, pair_count = _start(cursor)
    pairs, arrays = _pairs(cursor, pair_count)
    alignment = _alignment(cursor, pairs)
    cursor.budget(TENSOR_INFO_BYTES_MAX, "its list of tensors")
    tensors = _tensors(cursor, tensor_count, alignment)
    data_start = -(-cursor.at // alignment) * alignment
    _check_places(cursor, tensors, data_start)
    return _summary(cursor, version, pairs, arrays, tensors, data_start)


def template_warnings(template: str) -> tuple[str, ...]:
    """Why a chat template should be looked at before it is run; empty for an ordinary one."""
    found = [why for sign, why in _TEMPLATE_SIGNS if sign.search(template)]
    if len(template) > TEMPLATE_CHARS_MAX:
        found.append(f"is {len(template)} characters long")
    return tuple(found)


class _Cursor:
    """Reads forward through the file, a megabyte at a time, never past its end nor past the budget."""

    def __init__(self, file: BinaryIO, file_bytes: int, label: str) -> None:
        self._file = file
        self.file_bytes = file_bytes
        self.label = label
        self.data = bytearray()
        self.at = 0
        self._limit = 0
        self._size = 0
        self._what = ""
        self.texts_left = TEXTS_MAX
        self.arrays_left = NESTED_ARRAYS_MAX
        self.budget(METADATA_BYTES_MAX, "its metadata")

    def budget(self, size: int, what: str) -> None:
        """From here on at most `size` bytes, for `what`."""
        self._size = size
        self._limit = self.at + size
        self._what = what

    def need(self, size: int) -> int:
        """Make `size` more bytes readable in `data`; returns where they start and moves past them."""
        at = self.at
        end = at + size
        if end > len(self.data):
            self._load(end)
        self.at = end
        return at

    def _load(self, end: int) -> None:
        if end > self._limit:
            raise self.lies(f"{self._what} would take more than {self._size >> 20} MB")
        if end > self.file_bytes:
            raise Corrupt(
                f"{self.label} is cut short: {self._what} goes on beyond its end.",
                hint="Get the file again; the download was probably not finished.",
            )
        while len(self.data) < end:
            piece = self._file.read(max(_READ_BYTES, end - len(self.data)))
            if not piece:
                raise Corrupt(f"{self.label} became shorter while it was read.")
            self.data += piece

    def room(self) -> int:
        """Bytes left in the file or the budget, whichever is less."""
        return min(self.file_bytes, self._limit) - self.at

    def u32(self) -> int:
        return int(_U32.unpack_from(self.data, self.need(4))[0])

    def u64(self) -> int:
        return int(_U64.unpack_from(self.data, self.need(8))[0])

    def text(self, size_max: int, what: str) -> str:
        size = self.u64()
        if size > size_max:
            raise self.lies(f"{what} of {size} bytes")
        at = self.need(size)
        try:
            return self.data[at : at + size].decode()
        except UnicodeDecodeError:
            raise self.lies(f"{what} that is not text") from None

    def skip_text(self) -> None:
        self.need(self.u64())

    def lies(self, what: str) -> Corrupt:
        return Corrupt(
            f"{self.label} contradicts itself: {what}.",
            hint="Do not use it; get the model from a source you trust.",
        )


def _start(cursor: _Cursor) -> tuple[int, int, int]:
    if cursor.file_bytes < 24 or bytes(cursor.data[cursor.need(4) : 4]) != b"GGUF":
        raise InvalidInput(
            f"{cursor.label} is not a GGUF file.", hint="Models for this engine have names that end in .gguf."
        )
    version = cursor.u32()
    if version in (0x02000000, 0x03000000):
        raise InvalidInput(f"{cursor.label} is a GGUF for big-endian machines.")
    if version not in (2, 3):
        raise InvalidInput(f"{cursor.label} is GGUF version {version}; versions 2 and 3 are known here.")
    tensor_count, pair_count = cursor.u64(), cursor.u64()
    if tensor_count == 0:
        raise InvalidInput(f"{cursor.label} holds no weights.", hint="It may be a vocabulary or an adapter.")
    if tensor_count > TENSORS_MAX:
        raise cursor.lies(f"{tensor_count} tensors")
    if pair_count > PAIRS_MAX:
        raise cursor.lies(f"{pair_count} metadata entries")
    return version, tensor_count, pair_count


def _pairs(cursor: _Cursor, count: int) -> tuple[dict[str, Scalar], dict[str, "_Array"]]:
    pairs: dict[str, Scalar] = {}
    arrays: dict[str, _Array] = {}
    for _ in range(count):
        key = cursor.text(KEY_BYTES_MAX, "a metadata key")
        if key in pairs or key in arrays:
            raise cursor.lies(f"the metadata key {key[:80]!r} twice")
        kind = cursor.u32()
        if kind == _STRING:
            if key in _TEXTS_WANTED:
                pairs[key] = cursor.text(TEXT_KEPT_BYTES_MAX, f"a value for {key!r}")
            else:
                cursor.skip_text()
                pairs[key] = ""
        elif kind == _ARRAY:
            arrays[key] = _array(cursor, 1)
        else:
            pairs[key] = _scalar(cursor, kind)
    return pairs, arrays


def _scalar(cursor: _Cursor, kind: int) -> int | float | bool:
    shape = _SCALARS.get(kind)
    if shape is None:
        raise cursor.lies(f"a metadata value of unknown type {kind}")
    value: int | float = shape.unpack_from(cursor.data, cursor.need(shape.size))[0]
    if kind == _BOOL:
        if value not in (0, 1):
            raise cursor.lies("a truth value that is neither 0 nor 1")
        return bool(value)
    return value


@dataclass(frozen=True, slots=True)
class _Array:
    """How long it is; its values only where they are numbers and few."""

    length: int
    values: tuple[int | float, ...] = ()


def _array(cursor: _Cursor, depth: int) -> _Array:
    if depth > NESTING_MAX:
        raise cursor.lies(f"arrays nested more than {NESTING_MAX} deep")
    kind, length = cursor.u32(), cursor.u64()
    if kind == _STRING:
        if length > min(cursor.room() // 8, cursor.texts_left):
            raise cursor.lies(f"an array of {length} texts")
        cursor.texts_left -= length
        _skip_texts(cursor, length)
        return _Array(length)
    if kind == _ARRAY:
        if length > min(cursor.room() // 12, cursor.arrays_left):
            raise cursor.lies(f"an array of {length} arrays")
        cursor.arrays_left -= length
        for _ in range(length):
            _array(cursor, depth + 1)
        return _Array(length)
    shape = _SCALARS.get(kind)
    if shape is None:
        raise cursor.lies(f"an array of unknown type {kind}")
    if length > cursor.room() // shape.size:
        raise cursor.lies(f"an array of {length} numbers")
    at = cursor.need(length * shape.size)
    if length > VALUES_KEPT_MAX:
        return _Array(length)
    packed = struct.unpack_from(f"<{length}{shape.format[-1]}", cursor.data, at)
    return _Array(length, packed)


def _skip_texts(cursor: _Cursor, count: int) -> None:
    # The hot loop: a tokenizer has half a million of these, so it looks at the buffer directly.
    data, at, unpack = cursor.data, cursor.at, _U64.unpack_from
    have = len(data)
    for _ in range(count):
        if at + 8 > have:
            cursor.need(at + 8 - cursor.at)
            have = len(data)
        at += 8 + unpack(data, at)[0]
        if at > have:
            cursor.need(at - cursor.at)
            have = len(data)
    cursor.at = at


def _alignment(cursor: _Cursor, pairs: dict[str, Scalar]) -> int:
    value = pairs.get("general.alignment", 32)
    if not isinstance(value, int) or not 1 <= value <= ALIGNMENT_MAX or value & (value - 1):
        raise cursor.lies(f"an alignment of {str(value)[:40]}")
    return value


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    kind: int
    values: int
    offset: int
    size: int


def _tensors(cursor: _Cursor, count: int, alignment: int) -> list[_Tensor]:
    found: list[_Tensor] = []
    names: set[str] = set()
    for _ in range(count):
        tensor = _tensor(cursor, alignment)
        if tensor.name in names:
            raise cursor.lies(f"the tensor {tensor.name[:80]!r} twice")
        names.add(tensor.name)
        found.append(tensor)
    return found


def _tensor(cursor: _Cursor, alignment: int) -> _Tensor:
    name = cursor.text(NAME_BYTES_MAX, "a tensor's name")
    dims = cursor.u32()
    if not 1 <= dims <= DIMS_MAX:
        raise cursor.lies(f"the tensor {name[:80]!r} has {dims} dimensions")
    shape = [cursor.u64() for _ in range(dims)]
    values = math.prod(shape)
    if values == 0 or values > INT63_MAX or any(extent > INT63_MAX for extent in shape):
        raise cursor.lies(f"the tensor {name[:80]!r} has {values} values")
    kind = cursor.u32()
    if kind not in TENSOR_TYPES:
        raise InvalidInput(
            f"{cursor.label} uses the tensor type {kind}, which this version does not know.",
            hint="A newer version of the workbench may; or take another quantisation.",
        )
    _, block, block_bytes = TENSOR_TYPES[kind]
    if shape[0] % block:
        raise cursor.lies(
            f"a row of the tensor {name[:80]!r} is {shape[0]} values, not whole blocks of {block}"
        )
    offset = cursor.u64()
    if offset % alignment:
        raise cursor.lies(f"the tensor {name[:80]!r} is not aligned")
    return _Tensor(name=name, kind=kind, values=values, offset=offset, size=values // block * block_bytes)


def _check_places(cursor: _Cursor, tensors: list[_Tensor], data_start: int) -> None:
    """Each tensor lies within the file, and no two share a byte."""
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: tensor.offset):
        if tensor.offset < end:
            raise cursor.lies(f"the tensor {tensor.name[:80]!r} lies over another")
        end = tensor.offset + tensor.size
        if data_start + end > cursor.file_bytes:
            missing = data_start + end - cursor.file_bytes
            raise Corrupt(
                f"{cursor.label} is cut short: the tensor {tensor.name[:80]!r} ends {missing} bytes beyond its end.",
                hint="Get the file again; the download was probably not finished.",
            )


def _summary(
    cursor: _Cursor,
    version: int,
    pairs: dict[str, Scalar],
    arrays: dict[str, _Array],
    tensors: list[_Tensor],
    data_start: int,
) -> Header:
    architecture = _text(pairs, "general.architecture")
    if not architecture:
        raise cursor.lies("it does not say what kind of model it is")
    number = _numbers(pairs, architecture)
    heads = _per_layer(pairs, arrays, f"{architecture}.attention.head_count")
    kv_heads = _per_layer(pairs, arrays, f"{architecture}.attention.head_count_kv") or heads
    layers, width = number("block_count"), number("embedding_length")
    head_size = width // max(heads) if heads and max(heads) > 0 else 0
    key = number("attention.key_length") or head_size
    value = number("attention.value_length") or head_size
    per_layer = sum(kv_heads) if len(kv_heads) > 1 else layers * (kv_heads[0] if kv_heads else 0)
    template = pairs.get("tokenizer.chat_template")
    tokens = arrays.get("tokenizer.ggml.tokens")
    file_type = pairs.get("general.file_type")
    quantisation = FILE_TYPES.get(file_type, "") if isinstance(file_type, int) else ""
    return Header(
        version=version,
        architecture=architecture,
        name=_text(pairs, "general.name"),
        licence=_text(pairs, "general.license"),
        parameters=sum(tensor.values for tensor in tensors),
        quantisation=quantisation or _main_type(tensors),
        context_max=number("context_length"),
        embedding_length=width,
        layers=layers,
        heads=max(heads, default=0),
        kv_heads=max(kv_heads, default=0),
        kv_values_per_token=per_layer * (key + value),
        feed_forward_length=max(_per_layer(pairs, arrays, f"{architecture}.feed_forward_length"), default=0),
        vocabulary=tokens.length if tokens else number("vocab_size"),
        experts=number("expert_count"),
        is_embedding_model=number("pooling_type") > 0 or "bert" in architecture,
        has_template=isinstance(template, str) and bool(template),
        template_warnings=template_warnings(template) if isinstance(template, str) else (),
        tensors=len(tensors),
        tensor_bytes=sum(tensor.size for tensor in tensors),
        data_end_bytes=data_start + max(tensor.offset + tensor.size for tensor in tensors),
        file_bytes=cursor.file_bytes,
        parts=max(1, _whole(pairs.get("split.count"))),
    )


def _text(pairs: dict[str, Scalar], key: str) -> str:
    value = pairs.get(key)
    # What is shown in lists and stored in sidecars: one line, no control characters.
    return (
        " ".join("".join(c if c.isprintable() else " " for c in value).split())[:200]
        if isinstance(value, str)
        else ""
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT63_MAX else 0


def _numbers(pairs: dict[str, Scalar], architecture: str) -> Callable[[str], int]:
    return lambda key: _whole(pairs.get(f"{architecture}.{key}"))


def _per_layer(pairs: dict[str, Scalar], arrays: dict[str, _Array], key: str) -> list[int]:
    if key in arrays:
        return [_whole(value) for value in arrays[key].values]
    one = _whole(pairs.get(key))
    return [one] if one else []


def _main_type(tensors: list[_Tensor]) -> str:
    sizes: dict[int, int] = {}
    for tensor in tensors:
        sizes[tensor.kind] = sizes.get(tensor.kind, 0) + tensor.size
    return TENSOR_TYPES[max(sizes, key=lambda kind: sizes[kind])][0]
