"""Files beside a question: what can be shown to a model, made ready for it, or a sentence why not.

A text is told with the words, in a fence under its name. A picture goes as a picture; one that is larger than models
look at is made smaller here, so that nobody pays for what is thrown away.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt
from PySide6.QtGui import QImage, QImageReader

from app.viewmodels import wording

if TYPE_CHECKING:
    from legion_core.api.types import Lane, Pins
    from legion_core.api.types import ImageBlock

FILE_BYTES_MAX = 25_000_000
TEXT_BYTES_MAX = 400_000  # about a hundred thousand tokens
PICTURE_BYTES_MAX = 3_500_000  # five million as base64, which is the least that a provider takes
PICTURE_EDGE_MAX = 2048  # no provider looks at more
PICTURES_MAX = 8
FILES_MAX = 16
_KINDS = {b"png": "image/png", b"jpeg": "image/jpeg", b"gif": "image/gif", b"webp": "image/webp"}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class NotShown(Exception):
    """The sentence why a file cannot be attached."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file made ready: `text`, or `data` with its `media_type`."""

    name: str
    detail: str
    text: str = ""
    media_type: str = ""
    data: bytes = b""

    @property
    def is_picture(self) -> bool:
        """Whether it is shown and not told."""
        return bool(self.media_type)

    @property
    def block(self) -> "ImageBlock":
        """The picture as the gateway takes it."""
        from legion_core.api.types import ImageBlock

        return ImageBlock(media_type=self.media_type, data=base64.b64encode(self.data).decode())


def read_file(path: Path) -> Attachment:
    """Read and make ready; blocks for the time of the disk. Raises NotShown."""
    name = path.name
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise NotShown(f"{name} is a folder. Attach the files in it.")
        if size > FILE_BYTES_MAX:
            raise NotShown(
                f"{name} has {wording.size(size)}; {wording.size(FILE_BYTES_MAX)} is the most that can be attached."
            )
        data = path.read_bytes()
    except OSError as error:
        raise NotShown(f"{name} cannot be read: {error.strerror or error}.") from error
    if _kind(data):
        return _picture(name, data)
    return _text(name, data)


def of_image(image: QImage, name: str) -> Attachment:
    """A picture that never was a file, such as one from the clipboard. Raises NotShown."""
    return _encoded(name, image)


def told(words: str, attached: Sequence[Attachment]) -> str:
    """The words of the question, then every text file under its name."""
    parts = [words.strip()]
    for each in attached:
        if not each.is_picture:
            fence = "```"
            while fence in each.text:
                fence += "`"
            ending = Path(each.name).suffix.lstrip(".")
            parts.append(f"{each.name}:\n{fence}{ending}\n{each.text.rstrip()}\n{fence}")
    return "\n\n".join(part for part in parts if part)


def why_not_seen(lanes: Sequence["Lane"], pins: "Pins | None", *, is_private: bool) -> str:
    """The sentence why no model can look at a picture in this chat; empty where one can."""
    seeing = [lane for lane in lanes if "vision" in lane.offer.capabilities]
    if not seeing:
        return "No model here can see pictures. The Models page shows which can."
    if is_private and not any(lane.tier.word == "local" for lane in seeing):
        return "No model on this computer can see pictures, and this chat is kept on it."
    if pins is not None and not any(_is_allowed(lane, pins) for lane in seeing):
        return "No model that this chat is held to can see pictures. Choose another route above."
    return ""


def _is_allowed(lane: "Lane", pins: "Pins") -> bool:
    return (
        (pins.tier is None or lane.tier == pins.tier)
        and (pins.tier_max is None or lane.tier <= pins.tier_max)
        and (not pins.instance or lane.instance == pins.instance)
        and (not pins.model or lane.offer.id == pins.model)
    )


def _kind(data: bytes) -> str:
    """The media type by how the bytes begin; empty for what is no picture that every provider takes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _KINDS[b"png"]
    if data.startswith(b"\xff\xd8\xff"):
        return _KINDS[b"jpeg"]
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _KINDS[b"gif"]
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _KINDS[b"webp"]
    return ""


def _picture(name: str, data: bytes) -> Attachment:
    source = QBuffer()
    source.setData(QByteArray(data))
    source.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(source)
    reader.setAutoTransform(True)
    size = reader.size()
    if not size.isValid():
        raise NotShown(f"{name} looks like a picture, but it is damaged.")
    is_small = max(size.width(), size.height()) <= PICTURE_EDGE_MAX and len(data) <= PICTURE_BYTES_MAX
    if is_small and reader.canRead():
        return Attachment(name, _measures(size), media_type=_kind(data), data=data)
    reader.setScaledSize(_fitting(size))  # read small: a large picture would take the memory of its pixels
    image = reader.read()
    if image.isNull():
        raise NotShown(f"{name} looks like a picture, but it is damaged.")
    return _encoded(name, image)


def _fitting(size: QSize) -> QSize:
    if max(size.width(), size.height()) <= PICTURE_EDGE_MAX:
        return size
    return size.scaled(PICTURE_EDGE_MAX, PICTURE_EDGE_MAX, Qt.AspectRatioMode.KeepAspectRatio)


def _encoded(name: str, image: QImage) -> Attachment:
    if image.isNull():
        raise NotShown("The clipboard's picture is empty.")
    if max(image.width(), image.height()) > PICTURE_EDGE_MAX:
        image = image.scaled(
            _fitting(image.size()),
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
    for form, media_type, quality in (("PNG", "image/png", -1), ("JPEG", "image/jpeg", 85)):
        bare = image if form == "PNG" else image.convertToFormat(QImage.Format.Format_RGB32)
        target = QBuffer()
        target.open(QIODevice.OpenModeFlag.WriteOnly)
        if bare.save(target, form, quality) and target.size() <= PICTURE_BYTES_MAX:  # type: ignore[call-overload]
            return Attachment(
                name, _measures(image.size()), media_type=media_type, data=bytes(target.data().data())
            )
    raise NotShown(f"{name} is too large a picture, even made smaller.")


def _measures(size: QSize) -> str:
    return f"{size.width():,} × {size.height():,}"


def _text(name: str, data: bytes) -> Attachment:
    coding = next((coding for mark, coding in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(coding)
    except UnicodeDecodeError as error:
        raise NotShown(f"{name} is neither a text nor a picture (PNG, JPEG, GIF, WebP).") from error
    if "\0" in text:
        raise NotShown(f"{name} is neither a text nor a picture (PNG, JPEG, GIF, WebP).")
    if len(data) > TEXT_BYTES_MAX:
        raise NotShown(
            f"{name} has {wording.size(len(data))}; as text {wording.size(TEXT_BYTES_MAX)} is the most a model can take."
        )
    if not text.strip():
        raise NotShown(f"{name} is empty.")
    lines = text.rstrip("\n").count("\n") + 1
    return Attachment(name, wording.plural(lines, "line"), text=text.replace("\r\n", "\n"))
