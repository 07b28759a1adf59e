"""Files made ready for a model, and the sentences of those that cannot be."""

import base64
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from app.viewmodels import attachments
from app.viewmodels.attachments import (
    FILE_BYTES_MAX,
    TEXT_BYTES_MAX,
    Attachment,
    NotShown,
    told,
    why_not_seen,
)
from app.widgets.pictures import EDGE_MAX, NoPicture, encoded, fitted
from legion_core.api.types import DocumentBlock, Lane, ModelOffer, Pins, Tier


def read_file(path: Path) -> Attachment:
    return attachments.read_file(path, fitted)


def picture(path: Path, side: int = 8) -> Path:
    image = QImage(side, side // 2, QImage.Format.Format_RGB32)
    image.fill(0x336699)
    assert image.save(str(path))
    return path


def test_a_text_is_told_under_its_name_in_a_fence_it_does_not_break(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Ä\n```sh\nls\n```\n", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes("Köln\r\n".encode("utf-16"))

    a, b = read_file(tmp_path / "a.md"), read_file(tmp_path / "b.txt")

    assert (a.detail, b.text, a.is_picture) == ("4 lines", "Köln\n", False)
    assert told("Look.", (a, b)) == (
        "Look.\n\na.md:\n````md\nÄ\n```sh\nls\n```\n````\n\nb.txt:\n```txt\nKöln\n```"
    )


def test_a_small_picture_stays_as_it_is_and_a_large_one_is_made_smaller(tmp_path: Path) -> None:
    small, large = picture(tmp_path / "a.png"), picture(tmp_path / "b.jpg", 3000)

    kept, shrunk = read_file(small), read_file(large)

    assert (kept.data, kept.media_type, kept.detail) == (small.read_bytes(), "image/png", "8 × 4")
    assert shrunk.detail == f"{EDGE_MAX:,} × {EDGE_MAX // 2:,}"
    assert kept.block.media_type == "image/png"


def test_a_pdf_is_known_by_its_beginning_and_tells_its_pages(tmp_path: Path) -> None:
    (tmp_path / "lease").write_bytes(b"%PDF-1.4\n<</Type/Page/Parent 2 0 R>><</Type /Page>>")

    lease = read_file(tmp_path / "lease")

    assert (lease.detail, lease.is_picture, lease.is_shown) == ("PDF, 2 pages", False, True)
    assert lease.block == DocumentBlock(
        data=base64.b64encode((tmp_path / "lease").read_bytes()).decode(), name="lease", pages=2
    )
    assert told("Look.", (lease,)) == "Look."


def test_a_pdf_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.pdf").open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)

    with pytest.raises(NotShown, match="is the most that can be attached"):
        read_file(tmp_path / "a.pdf")


def test_a_picture_of_the_clipboard_is_one_too() -> None:
    image = QImage(4, 4, QImage.Format.Format_RGB32)
    image.fill(0)

    assert encoded(image).media_type == "image/png"
    with pytest.raises(NoPicture, match="empty"):
        encoded(QImage())


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.zip", b"PK\x03\x04\xff\xfe\x00", "no text, no PDF and no picture"),
        ("a.bin", b"abc\x00def", "no text, no PDF and no picture"),
        ("a.png", b"\x89PNG\r\n\x1a\nbroken", "damaged"),
        ("a.txt", b"  \n", "is empty"),
        ("a.pdf", b"", "is empty"),
        ("a.pdf", b"hello", "is no PDF"),
        ("a.pdf", b"%PDF-1.7\ntrailer <</Root 1 0 R /Encrypt 9 0 R>>", "is locked with a password"),
        ("a.log", b"x" * (TEXT_BYTES_MAX + 1), "the most a model can take"),
    ],
)
def test_what_cannot_be_shown_is_told_by_name(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(NotShown, match=why) as refused:
        read_file(tmp_path / name)

    assert str(refused.value).startswith(name)


def test_folders_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotShown, match="is a folder"):
        read_file(tmp_path)
    with pytest.raises(NotShown, match="cannot be read"):
        read_file(tmp_path / "gone.txt")


def lane(tier: Tier, *, sees: bool) -> Lane:
    capabilities = frozenset({"streaming", "vision"} if sees else {"streaming"})
    offer = ModelOffer(id="m1", context=8192, capabilities=capabilities)  # type: ignore[arg-type]
    return Lane(tier=tier, instance="box", kind="openai", offer=offer)


@pytest.mark.parametrize(
    ("lanes", "pins", "is_private", "why"),
    [
        ((lane(Tier.CLOUD, sees=True),), None, False, ""),
        ((lane(Tier.LOCAL, sees=False),), None, False, "No model here can see"),
        ((lane(Tier.CLOUD, sees=True),), None, True, "No model on this computer"),
        (
            (lane(Tier.CLOUD, sees=True),),
            Pins(tier_max=Tier.LOCAL),
            False,
            "No model that this chat is held to",
        ),
        ((lane(Tier.CLOUD, sees=True),), Pins(tier=Tier.CLOUD, model="m1"), False, ""),
    ],
)
def test_pictures_go_only_where_one_can_see(
    lanes: tuple[Lane, ...], pins: Pins | None, is_private: bool, why: str
) -> None:
    said = why_not_seen(lanes, pins, is_private=is_private)

    assert said.startswith(why)
    assert bool(said) == bool(why)


def test_an_attachment_without_a_type_is_no_picture() -> None:
    assert not Attachment("a", "b", text="c").is_picture
