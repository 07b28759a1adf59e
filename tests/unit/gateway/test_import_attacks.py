"""A zip that somebody made to hurt: names that climb, few bytes that stand for many, more members than any export has."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from legion_core.gateway.import_chats import Notes, open_chats
from legion_core.gateway.import_stream import CutShort, objects_in
from legion_core.kernel.errors import InvalidInput

CHAT = {"title": "t", "mapping": {"a": {"id": "a", "parent": None, "children": [], "message": {
    "id": "a", "author": {"role": "user"}, "content": {"content_type": "text", "parts": ["hello"]}}}}, "current_node": "a"}  # fmt: skip


def taken(path: Path) -> int:
    return len(list(open_chats(path, Notes())))


def test_no_member_is_written_anywhere_whatever_its_name_says(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (
            "../../conversations.json",
            "/tmp/conversations-x.json",
            "..\\..\\conversations-y.json",
            "file-AA/../../x",
        ):
            archive.writestr(name, json.dumps([CHAT]))
        link = zipfile.ZipInfo("conversations-link.json")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    before = sorted(each.name for each in tmp_path.rglob("*"))
    with pytest.raises(InvalidInput) as raised:  # the link's text is no list of conversations
        taken(path)
    assert "root:" not in raised.value.message
    assert sorted(each.name for each in tmp_path.rglob("*")) == before
    assert not Path("/tmp/conversations-x.json").exists()


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legion_core.gateway.import_chats.MEMBERS_MAX", 10)
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(11):
            archive.writestr(f"{number}", b"")
    with pytest.raises(InvalidInput, match="is the most"):
        taken(path)


class Endless:
    """A file that says the same for so many pieces, as a few packed bytes do; counts how many were asked for."""

    def __init__(self, head: bytes, piece: bytes, pieces: int) -> None:
        self._head, self._piece, self._left = head, piece, pieces
        self.asked = 0

    def read(self, size: int = -1, /) -> bytes:
        self.asked += 1
        self._left -= 1
        head, self._head = self._head, b""
        return head or (self._piece if self._left > 0 else b"")


@pytest.mark.slow
def test_one_text_without_end_is_read_once_and_ends_at_the_bound() -> None:
    """Looked through from its beginning with every piece, this took minutes for what is read in seconds."""
    file = Endless(b'[{"title": "', b"a" * (1 << 20), 2_000)
    with pytest.raises(CutShort, match="256 MB"):
        list(objects_in(file))
    assert file.asked < 300


def test_lists_within_lists_end_at_a_depth_nobody_needs() -> None:
    file = Endless(b"", b"[" * (1 << 20), 2_000)
    with pytest.raises(CutShort, match="deep"):
        list(objects_in(file))
    assert file.asked == 1
    deep = b'[{"a":' + b"[" * 9_000 + b"]" * 9_000 + b"}]"
    with pytest.raises((CutShort, ValueError, InvalidInput)):
        list(objects_in(io.BytesIO(deep)))


def test_a_text_is_whole_wherever_its_pieces_are_cut() -> None:
    said = 'a "quoted" \\ word\n \u00e9 {[}] end\\'
    whole = json.dumps([{"title": said}, {"title": "next"}]).encode()
    for size in range(1, 12):
        rest = io.BytesIO(whole)

        class Cut:
            def read(self, _: int = -1, /, rest: io.BytesIO = rest, size: int = size) -> bytes:
                return rest.read(size)

        assert [each["title"] for each in objects_in(Cut())] == [said, "next"]
