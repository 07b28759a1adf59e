"""The command line: parses, runs one command, and tells a person or a program how it went.

Standard output carries the answer and nothing else; under `--json` it is exactly one JSON document. Exit status: 0,
1 for an error, 2 for a command line that cannot be understood.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from legion_core import __version__
from legion_core.kernel.errors import Bug, LegionError
from legion_core.surfaces.cli.outcome import Actions, Command, Outcome, Setting
from legion_core.surfaces.cli.parser import Usage
from legion_core.surfaces.cli.tree import parser

if TYPE_CHECKING:
    import argparse

    from legion_core.surfaces.cli.local import OpenNode


def run(
    argv: Sequence[str],
    *,
    open_node: "OpenNode",
    desktop: Callable[[list[str]], int] | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run one command and give the exit status. `desktop` opens the window; None where there is none."""
    is_json, words = _split_json(argv)
    setting = Setting(os.environ if env is None else env, is_json, open_node, desktop)
    try:
        return _run_and_tell(setting, words)
    except KeyboardInterrupt:
        setting.aside("")
        return 130
    except BrokenPipeError:
        # The reader has had enough (`| head`); nothing is left to be said to anybody.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run_and_tell(setting: Setting, words: list[str]) -> int:
    try:
        return _told(setting, _run(setting, words))
    finally:
        # The command's own end is told already; a failure to let go after it is worth no second word.
        with contextlib.suppress(Exception):
            setting.end()


def _run(setting: Setting, words: list[str]) -> Outcome | LegionError:
    try:
        _log_to_stderr(setting)
        words, program = _split_program(words)
        arguments = parser(words[0] if words else "").parse_args(words)
        if program:
            arguments.words = program
        if arguments.version:
            return Outcome({"version": __version__}, f"legion {__version__}")
        outcome = _command(arguments.command, getattr(arguments, "action", None))(setting, arguments)
        # Closing may still fail (the journal cannot be written); then the command did.
        setting.close()
    except LegionError as error:
        return error
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001  # the wall: no trace ever reaches a person
        return _unexpected(setting, error)
    return outcome


def _split_json(argv: Sequence[str]) -> tuple[bool, list[str]]:
    """`--json` may stand anywhere before `--`."""
    end = list(argv).index("--") if "--" in argv else len(argv)
    words = [word for word in argv[:end] if word != "--json"]
    return len(words) < end, [*words, *argv[end:]]


def _split_program(words: list[str]) -> tuple[list[str], list[str]]:
    """The words of the program that `mcp server add` registers: the parser takes them only right behind the name."""
    if words[:3] != ["mcp", "server", "add"] or "--" not in words:
        return words, []
    end = words.index("--")
    return words[:end], words[end + 1 :]


def _told(setting: Setting, result: Outcome | LegionError) -> int:
    from legion_core.surfaces.cli.words import harmless, typed

    # What is said may be another program's word: a server's error, a name, what a task gave. A terminal obeys escapes.
    if isinstance(result, LegionError):
        from legion_core.surfaces.cli.failures import shape_of, words_of

        if setting.is_json:
            _print_json(setting, {"error": shape_of(result)})
        else:
            setting.aside(harmless(f"legion: {typed(words_of(result))}"))
        return 2 if isinstance(result, Usage) else 1
    if setting.is_json:
        _print_json(setting, {"data": result.data})
    elif result.text:
        setting.say(harmless(result.text))
    return result.status


def _print_json(setting: Setting, document: dict[str, object]) -> None:
    import msgspec

    from legion_core.kernel.unseen import spelled

    text = msgspec.json.encode(document).decode()
    # JSON leaves the upper controls as they are, and some terminals obey those too.
    setting.out.write((text if text.isascii() else spelled(text)) + "\n")
    setting.out.flush()


def _unexpected(setting: Setting, error: Exception) -> Bug:
    """Keep the trace where it can be found, and say where."""
    import traceback

    from legion_core.kernel.redact import redact

    path = setting.home.logs_directory / "command.log"
    trace = redact("".join(traceback.format_exception(error)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(trace, encoding="utf-8")
    except OSError:
        return Bug(f"Something broke inside the workbench: {redact(str(error)) or type(error).__name__}.")
    return Bug("Something broke inside the workbench.", hint=f"The details are in {path}.")


def _log_to_stderr(setting: Setting) -> None:
    """Warnings and worse, secrets masked; LEGION_LOG shows more."""
    import logging

    from legion_core.kernel.redact import RedactingFilter

    level = setting.env.get("LEGION_LOG", "").strip().upper()
    handler = logging.StreamHandler(setting.err)
    handler.setLevel(level if level in ("DEBUG", "INFO", "WARNING", "ERROR") else "WARNING")
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    ours = logging.getLogger("legion")
    before = ours.level
    if ours.level == logging.NOTSET or ours.level > handler.level:
        ours.setLevel(handler.level)
    ours.addHandler(handler)

    def close() -> None:
        ours.removeHandler(handler)
        ours.setLevel(before)

    setting.at_end(close)


def _command(command: str | None, action: str | None) -> Command:
    """The function behind a command."""
    return _desktop if command in (None, "desktop") else _actions(command)[action]


def _actions(command: str) -> Actions:  # noqa: C901  # a table, of which one line is ever run
    """What a command can do. Only its own module is imported: `legion status` must not wait for the rest."""
    match command:
        case "start":
            from legion_core.surfaces.cli.commands.start import ACTIONS

            return ACTIONS
        case "stop" | "status" | "doctor":
            from legion_core.surfaces.cli.commands.node import DOCTOR, STATUS, STOP

            return {"stop": STOP, "status": STATUS, "doctor": DOCTOR}[command]
        case "chat":
            from legion_core.surfaces.cli.commands.chat import ACTIONS

            return ACTIONS
        case "task":
            from legion_core.surfaces.cli.commands.tasks import ACTIONS

            return ACTIONS
        case "extension":
            from legion_core.surfaces.cli.commands.extensions import ACTIONS

            return ACTIONS
        case "worker":
            from legion_core.surfaces.cli.commands.worker import ACTIONS

            return ACTIONS
        case "chain":
            from legion_core.surfaces.cli.commands.chains import ACTIONS

            return ACTIONS
        case "schedule":
            from legion_core.surfaces.cli.commands.schedules import ACTIONS

            return ACTIONS
        case "hook":
            from legion_core.surfaces.cli.commands.hooks import ACTIONS

            return ACTIONS
        case "model":
            from legion_core.surfaces.cli.commands.models import ACTIONS

            return ACTIONS
        case "provider" | "route":
            from legion_core.surfaces.cli.commands.providers import PROVIDER, ROUTE

            return {"provider": PROVIDER, "route": ROUTE}[command]
        case "ledger":
            from legion_core.surfaces.cli.commands.ledger import ACTIONS

            return ACTIONS
        case "config" | "secret":
            from legion_core.surfaces.cli.commands.configuration import CONFIG, SECRET

            return {"config": CONFIG, "secret": SECRET}[command]
        case "token" | "rbac" | "audit":
            from legion_core.surfaces.cli.commands.rights import AUDIT, RBAC, TOKEN

            return {"token": TOKEN, "rbac": RBAC, "audit": AUDIT}[command]
        case "network":
            from legion_core.surfaces.cli.commands.network import ACTIONS

            return ACTIONS
        case "connect":
            from legion_core.surfaces.cli.commands.connect import ACTIONS

            return ACTIONS
        case "conversation":
            from legion_core.surfaces.cli.commands.conversations import ACTIONS

            return ACTIONS
        case "mcp":
            from legion_core.surfaces.cli.commands.mcp import ACTIONS

            return ACTIONS
        case "curate":
            from legion_core.surfaces.cli.commands.curate import ACTIONS

            return ACTIONS
        case "selftest":
            from legion_core.surfaces.cli.commands.selftest import ACTIONS

            return ACTIONS
        case "completion":
            from legion_core.surfaces.cli.commands.completion import ACTIONS

            return ACTIONS
        case _:
            raise Usage(f"There is no command {command!r}.")


def _desktop(setting: Setting, arguments: "argparse.Namespace") -> Outcome:
    if setting.desktop is None:
        raise Usage(
            "This is the command line alone, without the window.", hint="`legion --help` lists the commands."
        )
    return Outcome(None, status=setting.desktop(["desktop"]))
