"""Files stay in their folders, programs must be listed, notes reach the person, questions reach the model."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from legion_core.engine.builtin.files import FILE_BYTES_MAX
from legion_core.engine.builtin.table import make_builtins
from legion_core.engine.events import NotificationSent
from legion_core.engine.types import Task
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.ports import NoAsker, Principal
from legion_core.kernel.settings_schema import Engine, Files, Shell
from legion_core.testing.tasks import UnderTest, open_engine
from tests.support.aio import run


class Parrot:
    """A model that repeats the question."""

    async def ask(
        self, who: Principal, prompt: str, *, system: str = "", model: str = "", schema: str = ""
    ) -> str:
        return f"{who.name}|{system}|{model}|{prompt}"


def with_builtins(
    tmp_path: Path,
    test: Callable[[UnderTest], Awaitable[Any]],
    config: Engine | None = None,
    asker: Any = None,
) -> Any:
    config = config or Engine()

    async def work() -> Any:
        engines: list[Any] = []
        made = make_builtins(
            SystemClock(),
            tmp_path,
            lambda: config,
            lambda: asker or Parrot(),
            lambda title, text, task: engines[0].notify(title, text, task),
        )
        async with open_engine(tmp_path, made.runners) as here:
            engines.append(here.engine)
            try:
                return await test(here)
            finally:
                await made.http.aclose()

    return run(work())


def reason(task: Task) -> str:
    assert task.reason is not None
    return task.reason.sentence


def test_a_line_is_written_to_the_tasks_own_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(here: UnderTest) -> None:
        done = await here.run("log.message.write", message="hello", data={"a": 1})
        assert done.result == {"message": "hello", "level": "info", "data": {"a": 1}}
        (line,) = await here.engine.lines(done.id)
        assert (line.text, line.level) == ("hello", "info")
        wrong = await here.run("log.message.write")
        assert wrong.status == "succeeded"

    with_builtins(tmp_path, test)


def test_a_file_is_written_and_read_within_the_workbenchs_own_folder(tmp_path: Path) -> None:
    async def test(here: UnderTest) -> None:
        done = await here.run("file.text.write", path="notes/a.txt", text="grüße")
        assert done.result == {"path": str(tmp_path / "files/notes/a.txt"), "bytes": 7, "is_first": True}
        assert (await here.run("file.text.read", path="notes/a.txt")).result["text"] == "grüße"  # type: ignore[index]
        assert "no file" in reason(await here.run("file.text.read", path="none"))

    with_builtins(tmp_path, test)


@pytest.mark.parametrize(
    "path",
    ["../journal.db", "/etc/passwd", "a/../../token", "link/passwd", "", "a\0b", ".", "../filesystem/x", "/"],
)
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "link").symlink_to("/etc")
    (tmp_path / "filesystem").mkdir()

    async def test(here: UnderTest) -> None:
        for task, more in (("read", {}), ("write", {"text": "x"})):
            done = await here.run(f"file.text.{task}", path=path, **more)
            assert done.status == "failed"
            assert "outside the folders" in reason(done) or "`path` is empty" in reason(done)

    with_builtins(tmp_path, test)
    assert not (tmp_path / "filesystem" / "x").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_a_device_and_a_folder_are_refused_and_hold_up_nobody(tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / "folder").mkdir(parents=True)
    os.mkfifo(files / "pipe")
    (files / "big").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    (files / "bytes").write_bytes(b"\xff")

    async def test(here: UnderTest) -> None:
        for path, words in (
            ("pipe", "no file of text"),
            ("folder", "no file of text"),
            ("big", "larger than"),
            ("bytes", "not UTF-8"),
        ):
            done = await here.run("file.text.read", path=path)
            assert (done.status, words in reason(done)) == ("failed", True), path

    with_builtins(tmp_path, test)


def test_a_listed_folder_may_be_used(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()

    async def test(here: UnderTest) -> None:
        done = await here.run("file.text.write", path=str(other / "a"), text="x")
        assert done.status == "succeeded"

    with_builtins(tmp_path, test, Engine(files=Files(allow=(str(other),))))


def test_no_program_runs_unless_it_is_listed(tmp_path: Path) -> None:
    async def test(here: UnderTest) -> None:
        done = await here.run("shell.command.run", argv=["/bin/echo", "hello"])
        assert done.status == "failed"
        assert "[engine.shell] allow" in reason(done)
        assert (await here.run("shell.command.run", argv=[])).status == "failed"

    with_builtins(tmp_path, test)


def test_a_listed_program_gets_its_words_as_they_are_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "hush")
    script = "import sys, os; print(sys.argv[1:], sys.stdin.read(), 'MY_API_KEY' in os.environ); sys.exit(3)"

    async def test(here: UnderTest) -> None:
        argv = [sys.executable, "-c", script, "$(id)", "; ls", "*"]
        done = await here.run("shell.command.run", argv=argv, stdin="in")
        assert done.result == {
            "exit_code": 3,
            "stdout": "['$(id)', '; ls', '*'] in False\n",
            "stderr": "",
        }

    with_builtins(tmp_path, test, Engine(shell=Shell(allow=(sys.executable,))))


def test_a_listed_name_does_not_allow_a_file_of_that_name_elsewhere(tmp_path: Path) -> None:
    fake = tmp_path / "echo"
    fake.write_text("#!/bin/sh\necho fake\n", encoding="utf-8")
    fake.chmod(0o755)

    async def test(here: UnderTest) -> None:
        assert (await here.run("shell.command.run", argv=[str(fake)])).status == "failed"
        assert (await here.run("shell.command.run", argv=["echo", "x"])).result["stdout"] == "x\n"  # type: ignore[index]

    with_builtins(tmp_path, test, Engine(shell=Shell(allow=("echo",))))


def test_a_program_past_its_time_and_all_it_started_are_ended(tmp_path: Path) -> None:
    async def test(here: UnderTest) -> None:
        done = await here.run("shell.command.run", argv=["sh", "-c", "sleep 600 & sleep 600"], timeout_s=0.2)
        assert done.status == "failed"

    with_builtins(tmp_path, test, Engine(shell=Shell(allow=("sh",))))


def test_a_note_reaches_whoever_watches(tmp_path: Path) -> None:
    async def test(here: UnderTest) -> None:
        with here.bus.subscribe(NotificationSent) as events:
            done = await here.run("notify.desktop.send", title="Done", text="All of it")
            (event,) = events.take_nowait()
        assert isinstance(event, NotificationSent)
        assert (event.title, event.text, event.task) == ("Done", "All of it", done.id)
        assert (await here.run("notify.desktop.send", title=" ")).status == "failed"

    with_builtins(tmp_path, test)


def test_a_question_goes_to_the_model_as_the_owner(tmp_path: Path) -> None:
    async def test(here: UnderTest) -> None:
        done = await here.run("llm.chat.ask", prompt="Hi", system="Be brief", model="m1")
        assert done.result == {"text": "owner|Be brief|m1|Hi"}

    with_builtins(tmp_path, test)


@pytest.mark.requirement("whole.engine-without-ai")
def test_without_any_model_a_question_fails_and_everything_else_runs(tmp_path: Path) -> None:
    async def test(here: UnderTest) -> None:
        assert (await here.run("llm.chat.ask", prompt="Hi")).status == "failed"
        assert (await here.run("log.message.write", message="x")).status == "succeeded"

    with_builtins(tmp_path, test, asker=NoAsker())
