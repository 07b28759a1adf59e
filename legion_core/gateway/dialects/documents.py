"""Documents as clients give them: a PDF stays one, what is text becomes text, and nothing else is taken.

No address is fetched here or anywhere in the gateway. Sources: the documentation of Anthropic, OpenAI and Google.
"""

import binascii
import re
import zlib
from typing import Final

from legion_core.gateway.dialects.fields import FieldFault, image_from_base64, require
from legion_core.gateway.types import Block, DocumentBlock, TextBlock

PDF: Final = "application/pdf"
NAME_MAX: Final = 120
URL_MAX: Final = 8192
PAGES_OF_A_URL: Final = 20  # what a document is taken to have that nobody here reads
BYTES_PER_PAGE: Final = 50_000  # of a file that does not tell its pages
PAGES_MAX: Final = 3_000
LOOKED_AT_MAX: Final = 10_000  # words in a file that may begin a page
PACKED_MAX: Final = 200  # packed parts of a file that are looked into, …
PACKED_BYTES_MAX: Final = 200_000  # … and how far into each
HEAD_MAX: Final = 400
_TEXT_TYPES: Final = (
    "text/",
    "application/json",
    "application/xml",
    "application/yaml",
    "application/x-yaml",
)
_DATA_URL = re.compile(r"data:([\w.+/-]{3,128})(?:;[\w.+=/-]{1,64}){0,4};base64,", re.ASCII)
_PACKED = re.compile(rb"/ObjStm[^>]*>>\s*stream\r?\n")


def document_from_url(url: str, name: str, field: str) -> DocumentBlock:
    """A PDF by address."""
    require(url.startswith(("https://", "http://", "s3://", "gs://")), field, "is no http(s) URL.")
    require(len(url) <= URL_MAX, field, f"is longer than {URL_MAX} characters.")
    return DocumentBlock(url=url, name=name[:NAME_MAX], pages=PAGES_OF_A_URL)


def document_from_data(told: str, name: str, field: str) -> Block:
    """A file as OpenAI's clients give it: base64 behind `data:TYPE;base64,`, or alone where it is a PDF."""
    match = _DATA_URL.match(told)
    if match is not None:
        return document_from_base64(match[1], told[match.end() :], name, field)
    require(
        told.startswith("JVBERi0"), field, "is no base64 data URL, such as `data:application/pdf;base64,…`."
    )
    return document_from_base64(PDF, told, name, field)


def document_from_base64(media_type: str, data: str, name: str, field: str) -> Block:
    """A file given inline: a PDF, a picture, or its text. FieldFault for anything else, and what is not what it says."""
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type.startswith("image/"):
        return image_from_base64(media_type, data, field)
    is_text = media_type.startswith(_TEXT_TYPES)
    require(
        is_text or media_type == PDF,
        field,
        f"{media_type[:80]!r} is not offered here: documents are PDFs and texts.",
    )
    try:
        raw = binascii.a2b_base64(data, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise FieldFault(field, f"is not base64: {error}.") from error
    require(bool(raw), field, "is empty.")
    if is_text:
        try:
            return text_of(raw.decode("utf-8-sig"), name)
        except UnicodeDecodeError as error:
            raise FieldFault(field, "is not text in UTF-8.") from error
    require(b"%PDF-" in raw[:1024], field, "is no PDF.")  # as readers of it look for it
    return DocumentBlock(data=data, name=name[:NAME_MAX], pages=pages_of(raw))


def text_of(text: str, name: str) -> TextBlock:
    """A document's text, under its name."""
    return TextBlock(text=f"{name}\n{text}" if name else text)


def pages_of(raw: bytes) -> int:
    """About how many pages a PDF has: those its bytes name, as they are or packed, else a guess from its size."""
    found = _count(raw)
    at = raw.find(b"/ObjStm")
    for _ in range(PACKED_MAX):
        if at < 0:
            break
        if head := _PACKED.match(raw, at, at + HEAD_MAX):
            found += _count(_unpacked(raw[head.end() : head.end() + PACKED_BYTES_MAX]))
        at = raw.find(b"/ObjStm", at + 1)
    return min(PAGES_MAX, found or 1 + len(raw) // BYTES_PER_PAGE)


def _count(raw: bytes) -> int:
    """How often `/Type /Page` stands there; a search for words alone, for files are large."""
    found, at = 0, raw.find(b"/Page")
    for _ in range(LOOKED_AT_MAX):
        if at < 0:
            break
        is_page = not raw[at + 5 : at + 6].isalpha() and raw[max(0, at - 12) : at].rstrip().endswith(b"/Type")
        found += is_page
        at = raw.find(b"/Page", at + 5)
    return found


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, PACKED_BYTES_MAX)
    except zlib.error:
        return b""
