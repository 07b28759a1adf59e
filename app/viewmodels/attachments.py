"""Files beside a question: what can be shown to a model, made ready for it, or a sentence why not.

A text is told with the words, in a fence under its name; a picture goes as a picture, a PDF as a PDF.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from app.viewmodels import wording

if TYPE_CHECKING:
    from legion_core.api.types import Capability, DocumentBlock, ImageBlock, Lane, Pins

FILE_BYTES_MAX = 25_000_000
DOCUMENT_MARK = b"%PDF-"
TEXT_BYTES_MAX = 400_000  # about a hundred thousand tokens
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class NotShown(Exception):
    """The sentence why a file cannot be attached."""


class Picture(Protocol):
    """A picture that is ready, whoever made it so."""

    @property
    def data(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def media_type(self) -> str:
        """What they are."""
        ...

    @property
    def width(self) -> int:
        """In px."""
        ...

    @property
    def height(self) -> int:
        """In px."""
        ...


Fit = Callable[[bytes, str], Picture]
"""Makes a picture's bytes of a media type ready; raises an exception whose text goes on behind its name."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file made ready: `text`, `data` with its `media_type`, or a `document`."""

    name: str
    detail: str
    text: str = ""
    media_type: str = ""
    data: bytes = b""
    document: "DocumentBlock | None" = None

    @property
    def is_picture(self) -> bool:
        """Whether a model must see it."""
        return bool(self.media_type)

    @property
    def is_shown(self) -> bool:
        """Whether it goes beside the words and is not told in them."""
        return self.is_picture or self.document is not None

    @property
    def block(self) -> "ImageBlock | DocumentBlock":
        """The picture or the document as the gateway takes it."""
        if self.document is not None:
            return self.document
        from legion_core.api.types import ImageBlock

        return ImageBlock(media_type=self.media_type, data=base64.b64encode(self.data).decode())


def read_file(path: Path, fit: Fit) -> Attachment:
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
    if kind := kind_of(data):
        try:
            return of_picture(name, fit(data, kind))
        except Exception as error:
            raise NotShown(f"{name} {error}") from error
    if data.startswith(DOCUMENT_MARK) or path.suffix.lower() == ".pdf":
        return _document(name, data)
    return _text(name, data)


def of_picture(name: str, picture: Picture) -> Attachment:
    """A picture that is ready, under a name."""
    detail = f"{picture.width:,} × {picture.height:,}"
    return Attachment(name, detail, media_type=picture.media_type, data=picture.data)


def told(words: str, attached: Sequence[Attachment]) -> str:
    """The words of the question, then every text file under its name."""
    parts = [words.strip()]
    for each in attached:
        if each.text:
            fence = "```"
            while fence in each.text:
                fence += "`"
            ending = Path(each.name).suffix.lstrip(".")
            parts.append(f"{each.name}:\n{fence}{ending}\n{each.text.rstrip()}\n{fence}")
    return "\n\n".join(part for part in parts if part)


def document_bytes(attached: Sequence[Attachment]) -> int:
    """How large the documents among them are together."""
    return sum(len(each.document.data) * 3 // 4 for each in attached if each.document is not None)


def why_not_seen(
    lanes: Sequence["Lane"],
    pins: "Pins | None",
    *,
    is_private: bool,
    capability: "Capability" = "vision",
) -> str:
    """The sentence why no model can look at a picture, or read a PDF, in this chat; empty where one can."""
    can = "read PDFs" if capability == "documents" else "see pictures"
    seeing = [lane for lane in lanes if capability in lane.offer.capabilities]
    if not seeing:
        return f"No model here can {can}. The Models page shows which can."
    if is_private and not any(lane.tier.word == "local" for lane in seeing):
        return f"No model on this computer can {can}, and this chat is kept on it."
    if pins is not None and not any(_is_allowed(lane, pins) for lane in seeing):
        return f"No model that this chat is held to can {can}. Choose another route above."
    return ""


def kind_of(data: bytes) -> str:
    """The media type by how the bytes begin; empty for what is no picture that every provider takes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return ""


def _is_allowed(lane: "Lane", pins: "Pins") -> bool:
    return (
        (pins.tier is None or lane.tier == pins.tier)
        and (pins.tier_max is None or lane.tier <= pins.tier_max)
        and (not pins.instance or lane.instance == pins.instance)
        and (not pins.model or lane.offer.id == pins.model)
    )


def _document(name: str, data: bytes) -> Attachment:
    from legion_core.api.documents import pdf_of
    from legion_core.kernel.errors import InvalidInput

    try:
        block = pdf_of(data, name)
    except InvalidInput as error:
        raise NotShown(f"{name} {error}") from error
    return Attachment(name, f"PDF, {wording.plural(block.pages, 'page')}", document=block)


def _text(name: str, data: bytes) -> Attachment:
    coding = next((coding for mark, coding in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(coding)
    except UnicodeDecodeError as error:
        raise NotShown(f"{name} is no text, no PDF and no picture (PNG, JPEG, GIF, WebP).") from error
    if "\0" in text:
        raise NotShown(f"{name} is no text, no PDF and no picture (PNG, JPEG, GIF, WebP).")
    if len(data) > TEXT_BYTES_MAX:
        raise NotShown(
            f"{name} has {wording.size(len(data))}; as text {wording.size(TEXT_BYTES_MAX)} is the most a model can take."
        )
    if not text.strip():
        raise NotShown(f"{name} is empty.")
    lines = text.rstrip("\n").count("\n") + 1
    return Attachment(name, wording.plural(lines, "line"), text=text.replace("\r\n", "\n"))
