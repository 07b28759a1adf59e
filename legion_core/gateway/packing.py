"""What a message says, as it is stored: its blocks, with a hash in the place of each longer text.

    blocks ──pack──▶ skeleton (a byte of version, then msgpack) + the texts it names
    link = hash(link of the message before, role, moment, status, skeleton, record)

A link covers the links before it and, by the hashes in the skeleton, every text: who knows the last link of a branch can
tell whether anything in the branch was changed. Rows from before this form hold their blocks as JSON, which is read too.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, cast

import msgspec

from legion_core.gateway.texts import HASH_BYTES, StoredText, compressed
from legion_core.gateway.types import Block, JsonObject

INLINE_BYTES_MAX = 160  # a shorter text is stored in its message: its hash and its row would be as long
_VERSION = b"\x01"
_RECORD_VERSION = b"\x02"
_TEXT = 1  # the code of a hash among msgpack's extensions
_RECORD_WORDS = (
    b'{"request_id":"req_","tier":"local","instance":"","model":"","usage":{"input_tokens":,"output_tokens":,'
    b'"cache_read_tokens":0,"cache_write_tokens":0,"thinking_tokens":0,"is_estimated":false},"cost_usd":0.0,'
    b'"first_token_s":0.,"duration_s":0.,"attempts":[{"number":1,"tier":"cloud","instance":"","model":"",'
    b'"outcome":"succeeded","why":"","usage":{"input_tokens":,"output_tokens":,"cache_read_tokens":0,'
    b'"cache_write_tokens":0,"thinking_tokens":0,"is_estimated":true},"cost_usd":null,"started_at":"20-T::.Z",'
    b'"first_token_s":null,"duration_s":}],"seams":[],"error":""}'
)
_encode = msgspec.msgpack.Encoder().encode
_decode_json = msgspec.json.Decoder(tuple[Block, ...]).decode


@dataclass(frozen=True, slots=True)
class Packed:
    """A skeleton and the texts it names, in order; a text named twice stands here twice."""

    skeleton: bytes
    texts: tuple[StoredText, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """A hash where a text belongs."""

    hash: bytes


class Missing(Exception):
    """A text that a message names is not there, or is damaged."""


def pack(content: Sequence[Block]) -> Packed:
    """Blocks as they are stored."""
    texts = list[StoredText]()

    def short(text: str) -> object:
        if len(text) <= INLINE_BYTES_MAX and _is_short(text):
            return text
        stored = compressed(text)
        texts.append(stored)
        return msgspec.msgpack.Ext(_TEXT, stored.hash)

    blocks = [
        {key: short(value) if isinstance(value, str) else value for key, value in _fields(block).items()}
        for block in content
    ]
    return Packed(_VERSION + _encode(blocks), tuple(texts))


def unpack(skeleton: bytes, texts: Mapping[bytes, str]) -> tuple[Block, ...]:
    """The blocks again; Missing where a text is not among `texts`."""
    if not skeleton.startswith(_VERSION):
        return _decode_json(skeleton)

    def whole(value: object) -> object:
        if not isinstance(value, _Name):
            return value
        if value.hash not in texts:
            raise Missing
        return texts[value.hash]

    told = [{key: whole(value) for key, value in block.items()} for block in _blocks(skeleton)]
    return msgspec.convert(told, tuple[Block, ...])


def unpack_where_possible(skeleton: bytes, texts: Mapping[bytes, str]) -> tuple[tuple[Block, ...], bool]:
    """The blocks with nothing in the place of texts that are not there, and whether any was wanting."""
    if not skeleton.startswith(_VERSION):
        return _decode_json(skeleton), False
    is_wanting = False
    told = list[JsonObject]()
    for block in _blocks(skeleton):
        made = dict(block)
        for key, value in block.items():
            if isinstance(value, _Name):
                made[key] = texts.get(value.hash, "")
                is_wanting = is_wanting or value.hash not in texts
        told.append(made)
    return msgspec.convert(told, tuple[Block, ...]), is_wanting


def names(skeleton: bytes, wanted: Callable[[str], bool] = lambda kind: True) -> list[bytes]:
    """The hashes a skeleton names, in order; only of blocks whose kind is wanted."""
    if not skeleton.startswith(_VERSION):
        return []
    return [
        value.hash
        for block in _blocks(skeleton)
        if wanted(str(block.get("type")))
        for value in block.values()
        if isinstance(value, _Name)
    ]


def kinds(skeleton: bytes) -> Iterator[str]:
    """The kind of each block, such as `text` or `image`."""
    if skeleton.startswith(_VERSION):
        for block in _blocks(skeleton):
            yield str(block.get("type"))
        return
    for block in _decode_json(skeleton):
        yield str(block.__struct_config__.tag)


def is_packed(skeleton: bytes) -> bool:
    """Whether a row is in this form already."""
    return skeleton.startswith(_VERSION)


def pack_record(record: bytes) -> bytes:
    """How an answer came about, as JSON, made shorter; what does not get shorter stays."""
    if len(record) < 64:
        return record
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=_RECORD_WORDS)
    return _RECORD_VERSION + squeezer.compress(record) + squeezer.flush()


def unpack_record(stored: bytes) -> bytes:
    """The JSON again; ValueError where it is damaged."""
    if not stored.startswith(_RECORD_VERSION):
        return stored
    try:
        return zlib.decompressobj(-15, zdict=_RECORD_WORDS).decompress(stored[1:])
    except zlib.error as error:
        raise ValueError(str(error)) from error


def link(before: bytes | None, role: str, at: str, status: str, skeleton: bytes, record: bytes) -> bytes:
    """A message's hash: it covers the message before it, and all that is shown of this one. `record` as JSON."""
    digest = blake2b(before or bytes(HASH_BYTES), digest_size=HASH_BYTES, person=b"legion.message")
    for part in (role.encode(), at.encode(), status.encode(), skeleton, record):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _is_short(text: str) -> bool:
    try:
        return len(text.encode()) <= INLINE_BYTES_MAX
    except UnicodeEncodeError:
        return False  # a lone surrogate: what is stored as bytes keeps it


def _fields(block: Block) -> JsonObject:
    return cast("JsonObject", msgspec.to_builtins(block))


def _blocks(skeleton: bytes) -> list[JsonObject]:
    return msgspec.msgpack.decode(skeleton[1:], type=list[dict[str, Any]], ext_hook=_named)


def _named(code: int, data: memoryview) -> _Name:
    if code != _TEXT:
        raise ValueError(f"an extension {code} that is not known")
    return _Name(bytes(data))
