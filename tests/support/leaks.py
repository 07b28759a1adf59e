"""What a test starts it also ends: threads, child processes, loop tasks, Qt timers and windows.

What it changes for the whole process it changes back: variables of the environment, files in the temporary directory.

Each check compares with the moment the test began (after its wider fixtures), waits a bounded moment for what is
already on its way out, and then names what is left and where it came from. `@pytest.mark.allow_leak("threads",
reason="…")` lifts one kind for one test.
"""

import asyncio
import contextlib
import gc
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

GRACE_S = float(os.environ.get("LEGION_TEST_GRACE_S", "3.0"))
# Helpers of the interpreter that live as long as it does.
LASTING_THREADS = ("pytest_timeout", "pydevd", "QtThread")
LASTING_CHILDREN = ("resource_tracker", "forkserver")

_tasks_left: list[str] = []


def _name_task(task: "asyncio.Task[Any]") -> str:
    frames = task.get_stack(limit=1)
    where = f" at {frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else ""
    return f"task {task.get_name()!r} ({getattr(task.get_coro(), '__qualname__', '?')}){where}"


_temporary: list[str] = []
LASTING_TEMPORARY = ("legion-look-",)  # the images of the style sheet: one folder for the application


def _watch(event: str, args: tuple[object, ...]) -> None:
    if event in ("tempfile.mkdtemp", "tempfile.mkstemp"):
        _temporary.append(str(args[0]))


def _temporary_left() -> list[str]:
    return [
        f"temporary {path}"
        for path in _temporary
        if not os.path.basename(path).startswith(LASTING_TEMPORARY) and os.path.lexists(path)
    ]


PYTESTS_OWN = ("PYTEST_CURRENT_TEST", b"PYTEST_CURRENT_TEST")


def _variables() -> dict[Any, Any]:
    """The environment as the interpreter keeps it, in bytes where the system does: a copy costs microseconds."""
    return {name: value for name, value in os.environ._data.items() if name not in PYTESTS_OWN}


def _changed(before: dict[Any, Any], now: dict[Any, Any]) -> list[str]:
    names = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    return [f"variable {os.fsdecode(name)}" for name in sorted(names)]


def pytest_configure() -> None:
    """See the tasks a loop still holds when its runner closes it; the runner itself cancels them silently."""
    runners = asyncio.runners
    if getattr(runners, "_legion_watched", False):
        return
    sys.addaudithook(_watch)
    cancel_all = runners._cancel_all_tasks

    def watched(loop: asyncio.AbstractEventLoop) -> None:
        # A task already told to end is on its way out; one nobody told has been forgotten. What is no coroutine is
        # the loop's own: it closes an asynchronous generator that was left before its end.
        _tasks_left.extend(
            _name_task(task)
            for task in asyncio.all_tasks(loop)
            if not task.cancelling() and inspect.iscoroutine(task.get_coro())
        )
        cancel_all(loop)

    runners._cancel_all_tasks = watched
    runners._legion_watched = True


def _threads() -> set[threading.Thread]:
    return {
        thread
        for thread in threading.enumerate()
        if not isinstance(thread, threading._DummyThread) and not thread.name.startswith(LASTING_THREADS)
    }


def _children_of(pid: int) -> list[psutil.Process]:
    """All descendants. Linux tells each thread's children; elsewhere every process of the machine is read."""
    threads = f"/proc/{pid}/task"
    if not os.path.isdir(threads):
        return psutil.Process().children(recursive=True) if pid == os.getpid() else []
    found: list[psutil.Process] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(threads):
            # A thread or a child may end while it is read.
            with (
                contextlib.suppress(OSError, psutil.Error),
                open(f"{threads}/{thread}/children", "rb") as file,
            ):
                for child in map(int, file.read().split()):
                    found += [psutil.Process(child), *_children_of(child)]
    return found


def _children() -> set[psutil.Process]:
    """Living descendants; a process that ended but was not yet reaped by its parent is not a leak of work."""
    found: set[psutil.Process] = set()
    for child in _children_of(os.getpid()):
        with contextlib.suppress(psutil.Error):
            command = " ".join(child.cmdline())
            if child.status() != psutil.STATUS_ZOMBIE and not any(
                name in command for name in LASTING_CHILDREN
            ):
                found.add(child)
    return found


def _active_timers() -> set[Any]:
    if "PySide6.QtCore" not in sys.modules:
        return set()
    import shiboken6
    from PySide6.QtCore import QCoreApplication, QTimer

    if QCoreApplication.instance() is None:
        return set()
    # By its type: `isinstance` asks each of thousands of wrappers for an attribute first.
    return {
        wrapper
        for wrapper in shiboken6.getAllValidWrappers()
        if issubclass(type(wrapper), QTimer) and shiboken6.isValid(wrapper) and wrapper.isActive()
    }


def _windows() -> set[Any]:
    if "PySide6.QtWidgets" not in sys.modules:
        return set()
    from PySide6.QtWidgets import QApplication

    return {widget for widget in QApplication.topLevelWidgets() if widget.isVisible()}


def _deliver() -> None:
    """Let Qt deliver what waits, deferred deletions above all."""
    if "PySide6.QtCore" in sys.modules:
        from PySide6.QtCore import QCoreApplication, QEvent

        if (application := QCoreApplication.instance()) is not None:
            application.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            application.processEvents()


def _after_grace(count: Callable[[], set[Any]], before: set[Any]) -> set[Any]:
    """What there is, once all of it was there before or the grace is over."""
    end = time.monotonic() + GRACE_S
    pause_s = 0.0  # what Qt only had to be asked for is gone at once
    while not (now := count()) <= before and time.monotonic() < end:
        time.sleep(pause_s)
        _deliver()
        pause_s = 0.01
    return now


def _name_thread(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or -1)
    where = f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
    return f"thread {thread.name!r}{where}"


def _name_child(child: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"process {child.pid}: {' '.join(child.cmdline())[:160]}"
    return f"process {child.pid}"


def _name_timer(timer: Any) -> str:
    owner = timer.parent()
    return f"active QTimer {timer.objectName()!r} every {timer.interval()} ms of {type(owner).__name__}"


def _name_window(widget: Any) -> str:
    return f"open window {type(widget).__name__} {widget.windowTitle()!r}"


KINDS: dict[str, tuple[Callable[[], set[Any]], Callable[[Any], str]]] = {
    "threads": (_threads, _name_thread),
    "processes": (_children, _name_child),
    "timers": (_active_timers, _name_timer),
    "windows": (_windows, _name_window),
}


OTHERS = ("tasks", "temporary", "variables")


# What the last test was seen to leave to the next one, by kind: as long as nothing wider than a test was set up since,
# that is what there is when the next one begins. Looking costs a millisecond, which six thousand tests would pay twice.
_seen: dict[str, set[Any]] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    """What is wider than a test may start what outlives it."""
    if fixturedef.scope != "function":
        _seen.clear()


_tests_run = 0


def collect() -> None:
    """Free what the last test made; what is older is looked at now and then."""
    global _tests_run
    _tests_run += 1
    gc.collect(2 if _tests_run % 200 == 0 else 1)


@pytest.fixture
def afterwards() -> Iterator[None]:
    """Once the guards have looked, the garbage goes; a folder whose tests leave more to do has one of its own."""
    yield
    collect()


@pytest.fixture(autouse=True)
def _leak_guard(request: pytest.FixtureRequest, afterwards: None) -> Iterator[None]:
    allowed = {str(kind) for mark in request.node.iter_markers("allow_leak") for kind in mark.args}
    assert allowed <= {*KINDS, *OTHERS}, f"unknown kinds of leak: {allowed}"
    _tasks_left.clear()
    _temporary.clear()
    variables = _variables()
    watched = {kind: pair for kind, pair in KINDS.items() if kind not in allowed}
    before = {kind: _seen[kind] if kind in _seen else count() for kind, (count, _) in watched.items()}
    _seen.clear()
    yield
    left = []
    for kind, (count, name) in watched.items():
        now = _after_grace(count, before[kind])
        left += [name(thing) for thing in now - before[kind]]
        _seen[kind] = now
    if "tasks" not in allowed:
        left += _tasks_left
    if "temporary" not in allowed:
        left += _temporary_left()
    if "variables" not in allowed:
        left += _changed(variables, _variables())
    _tasks_left.clear()
    if left:
        pytest.fail("left behind:\n" + "\n".join(left), pytrace=False)
