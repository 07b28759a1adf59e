"""The command line: parses, runs one command, and tells a person or a program how it went.

Standard output carries the answer and nothing else; under `--json` it is exactly one JSON document. Exit status: 0,
1 for an error, 2 for a command line that cannot be understood.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from legion_core import __version__
from legion_core.kernel.errors import Bug, LegionError
from legion_core.surfaces.cli.outcome import Outcome, Setting
from legion_core.surfaces.cli.tree import Usage, parser

if TYPE_CHECKING:
    import argparse

    from legion_core.surfaces.cli.local import OpenNode

Run = Callable[[Setting, "argparse.Namespace"], Outcome]


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
        arguments = parser().parse_args(words)
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


def _told(setting: Setting, result: Outcome | LegionError) -> int:
    if isinstance(result, LegionError):
        from legion_core.surfaces.cli.failures import shape_of, words_of

        if setting.is_json:
            _print_json(setting, {"error": shape_of(result)})
        else:
            setting.aside(f"legion: {words_of(result)}")
        return 2 if isinstance(result, Usage) else 1
    if setting.is_json:
        _print_json(setting, {"data": result.data})
    elif result.text:
        setting.say(result.text)
    return result.status


def _print_json(setting: Setting, document: dict[str, object]) -> None:
    import msgspec

    setting.out.write(msgspec.json.encode(document).decode() + "\n")
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


def _command(command: str | None, action: str | None) -> Run:
    """The function behind a command. Only its own module is imported: `legion status` must not wait for the rest."""
    match command:
        case None | "desktop":
            return _desktop
        case "status" | "stop" | "doctor":
            from legion_core.surfaces.cli.commands import node

            return {"status": node.status, "stop": node.stop, "doctor": node.doctor}[command]
        case "start":
            from legion_core.surfaces.cli.commands.start import start

            return start
        case "chat":
            from legion_core.surfaces.cli.commands import chat

            return chat.prompt if action == "prompt" else chat.repl
        case "task" | "extension":
            return _tasks(command, str(action))
        case "chain":
            return _chains(str(action))
        case "schedule" | "hook":
            return _occasions(command, str(action))
        case "mcp":
            return _mcp(action)
        case "worker":
            from legion_core.surfaces.cli.commands.worker import worker

            return worker
        case "connect":
            return _connections(str(action))
        case "config" | "secret" | "token" | "rbac" | "audit":
            return _configuration(command, str(action))
        case _:
            return _rest(command, str(action))


def _mcp(action: str | None) -> Run:
    from legion_core.surfaces.cli.commands import mcp

    table: dict[str | None, Run] = {
        None: mcp.serve,
        "tools": mcp.tools,
        "calls": mcp.calls,
        "allow": mcp.allow,
        "forbid": mcp.forbid,
        "reset": mcp.reset,
        "grants": mcp.grants,
        "server": mcp.server,
    }
    return table[action]


def _configuration(command: str, action: str) -> Run:
    if command in ("rbac", "audit") or (command == "token" and action != "show"):
        return _rights(command, action)
    from legion_core.surfaces.cli.commands import configuration

    table: dict[tuple[str, str], Run] = {
        ("config", "get"): configuration.get,
        ("config", "set"): configuration.change,
        ("config", "check"): configuration.check,
        ("config", "path"): configuration.path,
        ("secret", "set"): configuration.set_secret,
        ("secret", "list"): configuration.list_secrets,
        ("secret", "remove"): configuration.remove_secret,
        ("token", "show"): configuration.show_token,
    }
    return table[command, action]


def _connections(action: str) -> Run:
    from legion_core.surfaces.cli.commands import connect

    table: dict[str, Run] = {
        "list": connect.listing,
        "preview": connect.preview,
        "apply": connect.apply,
        "undo": connect.undo,
        "key": connect.key,
    }
    return table[action]


def _rights(command: str, action: str) -> Run:
    from legion_core.surfaces.cli.commands import rights

    table: dict[tuple[str, str], Run] = {
        ("rbac", "check"): rights.check,
        ("rbac", "policy"): rights.policy,
        ("audit", "verify"): rights.verify,
        ("audit", "list"): rights.listing,
        ("audit", "export"): rights.export,
        ("token", "list"): rights.list_tokens,
        ("token", "create"): rights.create_token,
        ("token", "revoke"): rights.revoke_token,
    }
    return table[command, action]


def _chains(action: str) -> Run:
    from legion_core.surfaces.cli.commands import chains

    table: dict[str, Run] = {
        "apply": chains.apply,
        "check": chains.check,
        "list": chains.listing,
        "show": chains.show,
        "run": chains.run,
        "runs": chains.runs,
        "run-show": chains.run_show,
        "run-cancel": chains.run_cancel,
        "replay": chains.replay,
        "delete": chains.delete,
    }
    return table[action]


def _occasions(command: str, action: str) -> Run:
    if command == "hook":
        from legion_core.surfaces.cli.commands import hooks

        return {
            "add": hooks.add,
            "list": hooks.listing,
            "show": hooks.show,
            "pause": hooks.pause,
            "resume": hooks.resume,
            "remove": hooks.remove,
            "deliveries": hooks.deliveries,
        }[action]
    from legion_core.surfaces.cli.commands import schedules

    table: dict[str, Run] = {
        "add": schedules.add,
        "list": schedules.listing,
        "show": schedules.show,
        "runs": schedules.runs,
        "pause": schedules.pause,
        "resume": schedules.resume,
        "remove": schedules.remove,
        "run": schedules.run,
        "preview": schedules.preview,
    }
    return table[action]


def _tasks(command: str, action: str) -> Run:
    if command == "extension":
        from legion_core.surfaces.cli.commands import extensions

        return {"list": extensions.listing, "info": extensions.info, "create": extensions.create}[action]
    from legion_core.surfaces.cli.commands import tasks

    table: dict[str, Run] = {
        "run": tasks.run,
        "list": tasks.listing,
        "show": tasks.show,
        "logs": tasks.logs,
        "cancel": tasks.cancel,
        "retry": tasks.retry,
    }
    return table[action]


def _rest(command: str, action: str) -> Run:
    if command == "curate":
        from legion_core.surfaces.cli.commands.curate import curate

        return curate
    from legion_core.surfaces.cli.commands import conversations, ledger, models, providers

    table: dict[tuple[str, str], Run] = {
        ("model", "list"): models.listing,
        ("model", "pull"): models.pull,
        ("model", "import"): models.importing,
        ("model", "remove"): models.remove,
        ("model", "fit"): models.fit,
        ("provider", "list"): providers.listing,
        ("provider", "add"): providers.add,
        ("provider", "remove"): providers.remove,
        ("provider", "test"): providers.test,
        ("provider", "trip"): providers.trip,
        ("provider", "drain"): providers.drain,
        ("provider", "reset"): providers.reset,
        ("provider", "discover"): providers.discover,
        ("route", "explain"): providers.explain,
        ("ledger", "summary"): ledger.summary,
        ("ledger", "budget"): ledger.budget,
        ("conversation", "list"): conversations.listing,
        ("conversation", "show"): conversations.show,
        ("conversation", "search"): conversations.search,
        ("conversation", "export"): conversations.export,
        ("conversation", "import"): conversations.import_,
        ("conversation", "private"): conversations.private,
        ("conversation", "delete"): conversations.delete,
    }
    return table[command, action]


def _desktop(setting: Setting, arguments: Any) -> Outcome:
    if setting.desktop is None:
        raise Usage(
            "This is the command line alone, without the window.", hint="`legion --help` lists the commands."
        )
    return Outcome(None, status=setting.desktop(["desktop"]))
