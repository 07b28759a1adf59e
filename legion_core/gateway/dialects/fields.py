"""What every dialect's parser does alike: strict decoding in one pass, faults that name their field, pins, images."""

import binascii
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

import msgspec

from legion_core.gateway.types import ImageBlock, JsonObject, Pins, Tier
from legion_core.kernel.errors import InvalidInput

MESSAGES_MAX: Final = 10_000
PARTS_MAX: Final = 2_000  # in one message
IMAGES_MAX: Final = 100  # in one request; source: the strictest of the big providers
TOOLS_MAX: Final = 1_024
STOP_MAX: Final = 16
NAME_MAX: Final = 256
FREE_CHOICE: Final = frozenset({"", "auto", "legion"})  # model names that leave the choice to the router
MEDIA_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]
ModelName = Annotated[str, msgspec.Meta(max_length=NAME_MAX)]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
TopK = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]

T = TypeVar("T")
_PINNING: Final = frozenset({"x-legion-tier", "x-legion-instance", "x-legion-model"})
_top = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BLANK: Final = b" \t\r\n"
_WHERE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Invalid value ('[^']*')")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_DATA_URL = re.compile(r"data:([\w.+/-]{3,64});base64,", re.ASCII)


class FieldFault(InvalidInput):
    """A field of the body that cannot be taken; `field` is its path, such as `messages[0].role`, or empty."""

    def __init__(self, field: str, what: str, *, hint: str = "") -> None:
        super().__init__(f"`{field}`: {what}" if field else what, hint=hint)
        self.field = field


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as the decoder's type. FieldFault for anything that is not exactly one JSON object of that shape.

    A name given twice at the top makes the body ambiguous and is refused; a role or a type given twice is refused by
    the decoder wherever the two differ.
    """
    try:
        decoded = decoder.decode(body)
        is_certain = _is_as_decoded(body)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from error
    except UnicodeDecodeError as error:
        raise FieldFault("", "The body holds bytes that are not UTF-8.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise FieldFault("", f"The body is not one JSON object: {error}.") from error
    if not is_certain:
        _refuse_repeated_names(body)
    return decoded


def decode_item(item: msgspec.Raw, decoder: msgspec.json.Decoder[T], field: str) -> T:
    """One item of a body whose kind decides its shape; a fault's path starts at `field`."""
    try:
        return decoder.decode(item)
    except msgspec.ValidationError as error:
        raise _fault(str(error), field) from error
    except UnicodeDecodeError as error:
        raise FieldFault(field, "holds bytes that are not UTF-8.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise FieldFault(field, f"is not JSON: {error}.") from error


def _fault(said: str, at: str = "") -> FieldFault:
    match = _WHERE.match(said)
    what, field = (match["what"], match["field"] or "") if match else (said, "")
    # The decoder names the object around a missing field; a person looks for the field itself.
    if missing := _MISSING.search(what):
        field = f"{field}.{missing[1]}" if field else missing[1]
        what = "is required"
    if (unknown := _UNKNOWN.fullmatch(what)) and field.endswith("type"):
        what = f"{unknown[1]} is not offered here"  # mostly a file, a sound, or what one provider alone has
    if at:
        field = f"{at}{'' if field.startswith('[') or not field else '.'}{field}"
    return FieldFault(field, f"{what[:1].lower()}{what[1:]}." if field else f"The body is wrong: {what}.")


def _is_as_decoded(body: bytes) -> bool:
    """Whether reading the top of `body` from left to right meets each decoded field once, in order.

    False may also mean that a name is escaped in an unusual way: then the exact check decides.
    """
    at, fields = body.index(b"{"), _top.decode(body)
    told = [(name.encode(), value) for name, value in fields.items()]
    # Nearly all write it in one of two ways: then it is the same again, to the letter.
    if body == b"{%b}" % b", ".join([b'"%b": %b' % pair for pair in told]):
        return True
    if body == b"{%b}" % b",".join([b'"%b":%b' % pair for pair in told]):
        return True
    for name, value in fields.items():
        at += 1  # behind `{` or `,`
        if body[at] in _BLANK:
            at = _skip(body, at)
        quoted = b'"%b":' % name.encode()
        if body.startswith(quoted, at):
            at += len(quoted)
        elif body.startswith(quoted[:-1], at):
            at = _skip(body, at + len(quoted) - 1) + 1
        else:
            return False
        if body[at] in _BLANK:
            at = _skip(body, at)
        told = bytes(value)
        if not body.startswith(told, at):
            return False
        at += len(told)
        if body[at] in _BLANK:
            at = _skip(body, at)
    return body[at] == 0x7D


def _skip(body: bytes, at: int) -> int:
    """Where the white space at `at` ends."""
    while body[at] in _BLANK:
        at += 1
    return at


def _refuse_repeated_names(body: bytes) -> None:
    """FieldFault if any object of the body has a name twice."""

    def check(pairs: list[tuple[str, object]]) -> None:
        if len(pairs) > 1:
            name, times = Counter(name for name, _ in pairs).most_common(1)[0]
            if times > 1:
                raise FieldFault(name, f"occurs {times} times in one object.")

    try:
        json.loads(body, object_pairs_hook=check)
    except (ValueError, RecursionError) as error:
        raise FieldFault("", f"The body is not one JSON object: {error}.") from error


def require(held: bool, field: str, what: str, *, hint: str = "") -> None:
    """Raise FieldFault unless `held`."""
    if not held:
        raise FieldFault(field, what, hint=hint)


def pins(model: str, headers: Mapping[str, str]) -> Pins:
    """The route the body and the `x-legion-*` headers insist on; headers win over the body's model."""
    wish = model.strip()
    if _PINNING.isdisjoint(headers):
        return Pins(model=None if wish.lower() in FREE_CHOICE else wish)
    wish = headers.get("x-legion-model", "").strip() or wish
    word = headers.get("x-legion-tier", "").strip().lower()
    try:
        tier = Tier.parse(word) if word else None
    except KeyError as error:
        words = ", ".join(tier.word for tier in Tier)
        raise FieldFault("x-legion-tier", f"{word!r} is no tier.", hint=f"The tiers are {words}.") from error
    for name in ("x-legion-instance", "x-legion-model"):
        require(len(headers.get(name, "")) <= NAME_MAX, name, f"is longer than {NAME_MAX} characters.")
    return Pins(
        tier=tier,
        instance=headers.get("x-legion-instance", "").strip() or None,
        model=None if wish.lower() in FREE_CHOICE else wish,
    )


def conversation(headers: Mapping[str, str]) -> str | None:
    """The conversation named by `x-legion-conversation`, or None."""
    name = headers.get("x-legion-conversation", "").strip()
    require(len(name) <= NAME_MAX, "x-legion-conversation", f"is longer than {NAME_MAX} characters.")
    return name or None


def image_from_url(url: str, field: str) -> ImageBlock:
    """A picture by `https:` or `data:` URL; nothing is fetched here or anywhere in the gateway."""
    if url.startswith(("https://", "http://")):
        require(len(url) <= 8192, field, "is longer than 8192 characters.")
        return ImageBlock(url=url)
    match = _DATA_URL.match(url)
    require(match is not None, field, "is neither an http(s) URL nor a base64 data URL.")
    assert match is not None
    return image_from_base64(match[1], url[match.end() :], field)


def image_from_base64(media_type: str, data: str, field: str) -> ImageBlock:
    """A picture given inline; FieldFault unless it is base64 of a type the providers know."""
    media_type = "image/jpeg" if media_type == "image/jpg" else media_type
    require(media_type in MEDIA_TYPES, field, f"{media_type!r} is not a picture type that is taken.")
    try:
        filled = bool(binascii.a2b_base64(data, strict_mode=True))
    except (binascii.Error, ValueError) as error:
        raise FieldFault(field, f"is not base64: {error}.") from error
    require(filled, field, "is empty.")
    return ImageBlock(media_type=media_type, data=data)


def json_object(text: str) -> JsonObject | None:
    """The JSON object in `text`; None if it is anything else. Empty text is the empty object."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=JsonObject)
    except (msgspec.MsgspecError, RecursionError):
        return None
