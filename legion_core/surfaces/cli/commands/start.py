"""`legion start`: the engine without a window."""

import argparse
import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from legion_core.kernel.errors import Conflict, InvalidInput, LegionError, TimedOut, Unavailable, Unsupported
from legion_core.storage.home import Home, NodeRecord
from legion_core.surfaces.cli.connect import address, is_answering
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting
from legion_core.surfaces.cli.words import called, typed

READY_S = 60.0
LOOK_AGAIN_S = 0.05
LOG_NAME = "engine.log"
LOG_BYTES_MAX = 8 * 1024 * 1024


def start(setting: Setting, args: argparse.Namespace) -> Outcome:
    """In the foreground until told to end; with `--detach` until it answers."""
    if args.full:
        raise Unsupported(
            "Full mode works over RabbitMQ, which this version cannot do yet.",
            hint="Leave out --full.",
        )
    if args.port is not None and not 0 <= args.port <= 65535:
        raise InvalidInput(f"{args.port} is not a port.", hint="Give a number from 1 to 65535.")
    record = setting.home.read_node()
    if record is not None:
        raise already_running(setting.home, record)
    if args.detach:
        return _detach(setting, args)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(setting, args))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed: a window has Qt's loop, this has nothing to share."""
    if find_spec("uvloop") is None:
        return None
    from uvloop import new_event_loop

    return new_event_loop


def already_running(home: Home, record: NodeRecord) -> Conflict:
    """One engine for each home."""
    where = f" at {address(record)}" if record.port is not None else ""
    return Conflict(
        f"A workbench already runs in {home.root}{where} (process {record.pid}).",
        hint="Use it, stop it with `legion stop`, or set LEGION_HOME to another directory.",
    )


async def _serve(setting: Setting, args: argparse.Namespace) -> Outcome:
    told_to_end = asyncio.Event()
    _on_signal(told_to_end)
    home = setting.home
    opening = setting.open_node(home.root, env=setting.env, serve=True, port=args.port, host=args.host)
    async with opening as node:
        if not node.url:
            raise node.problem or Unavailable("The engine serves no port.")
        setting.say(banner(home, node.url, called(), is_token_given=bool(setting.env.get("LEGION_TOKEN"))))
        if args.host:
            setting.aside(
                f"Note: {args.host} can be reached by other machines. They need the token for everything."
            )
        _spare_the_collector()
        await told_to_end.wait()
        setting.say("Stopping.")
    return Outcome({"url": "", "state": "stopped"}, "Stopped.")


def _spare_the_collector() -> None:
    """What stands after the start stays: looking through it again and again took an eighth of a request's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def banner(home: Home, url: str, command: str, *, is_token_given: bool) -> str:
    """The address, where the token lies, and a first command to try."""
    place = "the variable LEGION_TOKEN" if is_token_given else str(home.token_path)
    value = "$LEGION_TOKEN" if is_token_given else f"$(cat {_quoted(home.token_path)})"
    return f"""Legion Workbench runs at {url}
The token is in {place}

Try it:
  {command} chat prompt "Hello"
  curl {url}/v1/chat/completions -H "Authorization: Bearer {value}" \\
    -H "content-type: application/json" \\
    -d '{{"model": "auto", "messages": [{{"role": "user", "content": "Hello"}}]}}'

Other programs: OpenAI clients use {url}/v1, Anthropic clients {url}.
Ctrl-C stops it."""


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def _on_signal(told_to_end: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def from_another_stack(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(told_to_end.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, told_to_end.set)
        except NotImplementedError:  # Windows
            signal.signal(number, from_another_stack)


def _detach(setting: Setting, args: argparse.Namespace) -> Outcome:
    """Start ourselves again in a session of its own, and wait until that one answers."""
    home = setting.home
    home.create()
    home.logs_directory.mkdir(exist_ok=True, mode=0o700)
    log_path = home.logs_directory / LOG_NAME
    _make_room(log_path)
    with log_path.open("ab") as log:
        begin = log.tell()
        child = subprocess.Popen(  # noqa: S603  # our own program
            _own_command(args),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(setting.env),
            start_new_session=True,
        )
    for _ in range(int(READY_S / LOOK_AGAIN_S)):
        with suppress(subprocess.TimeoutExpired):
            child.wait(LOOK_AGAIN_S)
            raise _failed_to_start(log_path, begin)
        record = home.read_node()
        if record is not None and record.pid == child.pid and is_answering(record):
            url = address(record)
            data = {"url": url, "pid": child.pid, "token_path": str(home.token_path), "log": str(log_path)}
            child.returncode = 0  # it goes on without us, on purpose
            return Outcome(
                data, typed(f"Legion Workbench runs at {url} (process {child.pid}). `legion stop` ends it.")
            )
    child.terminate()
    child.wait()
    raise TimedOut(
        f"The engine was not ready within {READY_S:.0f} s and was ended.", hint=f"Its log is {log_path}."
    )


def _own_command(args: argparse.Namespace) -> list[str]:
    program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "legion_core"]
    options: list[str] = []
    if args.host:
        options += ["--host", args.host]
    if args.port is not None:
        options += ["--port", str(args.port)]
    return [*program, "start", *options]


def _make_room(log_path: Path) -> None:
    with suppress(FileNotFoundError):
        if log_path.stat().st_size > LOG_BYTES_MAX:
            log_path.replace(log_path.with_suffix(".old.log"))


def _failed_to_start(log_path: Path, begin: int) -> LegionError:
    """What the child said last is why it ended."""
    with log_path.open("rb") as log:
        log.seek(max(begin, os.fstat(log.fileno()).st_size - 4096))
        lines = [line for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    why = lines[-1].removeprefix("legion: ") if lines else "It said nothing."
    return Unavailable(why, hint=f"Its log is {log_path}.")


ACTIONS: Actions = {None: start}
