"""Names what a file is by its first bytes, so that a refusal can say what was given instead of a model."""

from pathlib import Path
from typing import Final

from legion_core.kernel.errors import InvalidInput

SNIFF_BYTES: Final = 64

_HINT = "This engine loads .gguf files; look for the GGUF version of the model."

_SIGNS: tuple[tuple[bytes, str], ...] = (
    (
        b"PK\x03\x04",
        "a zip archive, which is how PyTorch stores models; such a file can run code when it is opened",
    ),
    (b"\x80\x02", "a Python pickle; such a file can run code when it is opened"),
    (b"\x80\x03", "a Python pickle; such a file can run code when it is opened"),
    (b"\x80\x04", "a Python pickle; such a file can run code when it is opened"),
    (b"\x80\x05", "a Python pickle; such a file can run code when it is opened"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (b"version https://git-lfs", "only the pointer of a Git LFS file, not the file"),
    (b"lmgg", "an old ggml model, from before GGUF"),
    (b"fmgg", "an old ggml model, from before GGUF"),
    (b"tjgg", "an old ggml model, from before GGUF"),
    (b"\x89HDF", "an HDF5 file"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
)


def foreign(head: bytes) -> str:
    """What the file is, if its first bytes show that it is no GGUF; "" for a GGUF."""
    if head.startswith(b"GGUF"):
        return ""
    for sign, what in _SIGNS:
        if head.startswith(sign):
            return what
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not a file: perhaps a log-in or error page"
    # safetensors: a little-endian length, then JSON
    if len(head) > 9 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 1 << 32:
        return "a safetensors file"
    if text.startswith((b"{", b"[")):
        return "JSON text, not a model"
    return "empty" if not head else "not a GGUF file"


def refuse_foreign(path: Path) -> None:
    """Raise InvalidInput, naming what the file is, unless it begins like a GGUF."""
    try:
        with path.open("rb") as file:
            head = file.read(SNIFF_BYTES)
    except OSError as error:
        raise InvalidInput(f"{path.name} could not be read: {error.strerror or error}.") from error
    if what := foreign(head):
        raise InvalidInput(f"{path.name} is {what}.", hint=_HINT)
