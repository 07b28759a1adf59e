"""Functions are found by dotted name, described from their own signature, and never take each other down."""

import asyncio
from pathlib import Path

import pytest

from legion_core.engine.extension import Context, function
from legion_core.engine.registry import Registry
from legion_core.engine.signature import Unusable, read_signature
from legion_core.kernel.errors import InvalidInput, NotFound, Unavailable
from tests.support.aio import run


class Greeter:
    @function(effect="pure", timeout_s=5)
    async def greet(self, name: str = "world") -> str:
        """A greeting.

        Args:
            name: whom to greet
        """
        return f"Hello, {name}."

    def unmarked(self) -> None: ...


def registry(tmp_path: Path) -> Registry:
    return Registry({"hello.say": Greeter()}, tmp_path / "extensions")


def write(tmp_path: Path, name: str, text: str, runner: str = "runner") -> Path:
    path = tmp_path / "extensions" / name / f"{runner}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_builtin_is_known_at_once_with_its_traits_and_schema(tmp_path: Path) -> None:
    found = registry(tmp_path).known("hello.say.greet")

    assert found is not None
    assert (found.traits.effect, found.traits.timeout_s, found.pool) == ("pure", 5, "loop")
    assert found.signature.description == "A greeting."
    assert found.signature.schema["properties"]["name"] == {
        "type": "string",
        "default": "world",
        "description": "whom to greet",
    }
    assert registry(tmp_path).known("hello.say.unmarked") is None


def test_a_folder_is_an_extension_and_its_public_functions_are_tasks(tmp_path: Path) -> None:
    write(
        tmp_path,
        "mine",
        '"""Sums."""\nimport json\nfrom pathlib import Path\ndef add(a: int, b: int = 2) -> int:\n    return a + b\n'
        "def _hidden(): ...\nclass Box: ...\n",
    )

    async def work() -> None:
        found = await registry(tmp_path).extension("mine")
        assert list(found.functions) == ["mine.runner.add"]
        assert (found.origin, found.description, found.problem) == ("folder", "Sums.", "")
        assert found.functions["mine.runner.add"].pool == "thread"

    run(work())


def test_runners_may_also_lie_in_a_folder_of_their_own_and_share_code(tmp_path: Path) -> None:
    write(tmp_path, "mine", "FACTOR = 3\n", "_shared")
    write(
        tmp_path,
        "mine",
        "from .._shared import FACTOR\ndef f() -> int:\n    return FACTOR\n",
        "runners/maths",
    )

    async def work() -> None:
        found = await registry(tmp_path).find("mine.maths.f")
        assert found.call() == 3

    run(work())


def test_an_edit_is_in_force_at_the_next_call_even_within_the_same_second(tmp_path: Path) -> None:
    write(tmp_path, "mine", "from . import _part\ndef f() -> int:\n    return 10 + _part.N\n")
    part = write(tmp_path, "mine", "N = 1\n", "_part")

    async def work() -> None:
        here = registry(tmp_path)
        first = await here.find("mine.runner.f")
        assert first.call() == 11
        assert (await here.find("mine.runner.f")) is first  # nothing changed: nothing is read again
        part.write_text("N = 2\n", encoding="utf-8")
        assert (await here.find("mine.runner.f")).call() == 12

    run(work())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import no_such_module\n", "no_such_module"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_an_extension_that_cannot_be_imported_is_listed_with_its_reason_and_hurts_no_other(
    tmp_path: Path, text: str, why: str
) -> None:
    write(tmp_path, "bad", text)
    write(tmp_path, "good", "def f() -> int:\n    return 1\n")

    async def work() -> None:
        here = registry(tmp_path)
        by_name = {each.name: each for each in await here.extensions()}
        assert set(by_name) == {"bad", "good", "hello"}
        assert why in by_name["bad"].problem
        assert "runner.py, line 1" in by_name["bad"].problem
        with pytest.raises(Unavailable, match=why):
            await here.find("bad.runner.f")
        assert (await here.find("good.runner.f")).call() == 1

    run(work())


def test_a_mended_extension_is_usable_again(tmp_path: Path) -> None:
    path = write(tmp_path, "mine", "def f(:\n")

    async def work() -> None:
        here = registry(tmp_path)
        with pytest.raises(Unavailable):
            await here.find("mine.runner.f")
        path.write_text("def f() -> int:\n    return 7\n", encoding="utf-8")
        assert (await here.find("mine.runner.f")).call() == 7
        path.unlink()
        with pytest.raises(Unavailable, match="no functions"):
            await here.find("mine.runner.f")

    run(work())


def test_a_function_that_cannot_be_described_is_left_out_with_its_reason(tmp_path: Path) -> None:
    write(
        tmp_path,
        "mine",
        "class Odd: ...\ndef odd(x: Odd) -> None: ...\ndef many(*x: int) -> None: ...\ndef fine() -> None: ...\n",
    )

    async def work() -> None:
        found = await registry(tmp_path).extension("mine")
        assert list(found.functions) == ["mine.runner.fine"]
        assert "mine.runner.odd is left out" in found.problem
        assert "mine.runner.many is left out" in found.problem

    run(work())


def test_a_folder_may_not_take_the_name_of_a_builtin(tmp_path: Path) -> None:
    write(tmp_path, "hello", "def f() -> None: ...\n")

    async def work() -> None:
        here = registry(tmp_path)
        assert (await here.extension("hello")).origin == "builtin"
        (folder,) = [each for each in await here.extensions() if each.origin == "folder"]
        assert "taken" in folder.problem

    run(work())


def test_what_is_not_there_is_not_found_with_what_comes_near(tmp_path: Path) -> None:
    async def work() -> None:
        here = registry(tmp_path)
        with pytest.raises(NotFound) as raised:
            await here.find("hello.say.great")
        assert "hello.say.greet" in raised.value.hint
        for wrong in ("hello", "hello.say", "a.b.c.d", "../x.y.z", "Hello.say.greet"):
            with pytest.raises(InvalidInput):
                await here.find(wrong)

    run(work())


def test_importing_does_not_stop_the_loop(tmp_path: Path) -> None:
    write(
        tmp_path,
        "slow",
        "import threading\nTHREAD = threading.current_thread().name\ndef f() -> str:\n    return THREAD\n",
    )

    async def work() -> None:
        found = await registry(tmp_path).find("slow.runner.f")
        assert found.call() == "import slow"
        assert asyncio.get_running_loop().is_running()

    run(work())


def test_an_asynchronous_function_cannot_ask_for_a_process() -> None:
    async def f() -> None: ...

    def g(*, context: Context, n: int) -> None: ...

    def h(n: int, /) -> None: ...

    assert read_signature(f).is_async
    assert read_signature(g).context == "context"
    assert read_signature(g).names == ("n",)
    with pytest.raises(Unusable):
        read_signature(h)
