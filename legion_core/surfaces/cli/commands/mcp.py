"""`legion mcp …`: our tools for other programs, and other people's servers for ours."""

import argparse
import http.client
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from legion_core.agent.change_types import Change
    from legion_core.agent.mcp.types import ServerRow


def serve(setting: Setting, args: argparse.Namespace) -> Outcome:
    """Without an action: MCP over standard input and output, or with `--http` where it is served."""
    return _http(setting) if args.http else _stdio(setting, args.as_client)


def _stdio(setting: Setting, client: str) -> Outcome:
    """Carry frames to the running node, else answer them by a node of this process. Prints nothing but frames.

    With `client` it is the token that Connect made for this program which is shown, not the owner's.
    """
    from urllib.parse import urlsplit

    from legion_core.surfaces.cli.connect import address, is_answering, token
    from legion_core.surfaces.mcp.shim import CONNECT_S, Shim, stdio

    source, sink = stdio()
    # A client that ends us by a signal would leave its session behind.
    signal.signal(signal.SIGTERM, _leave)
    home = setting.home
    secret = _key(setting, client) if client else token(home, setting.env)
    record = home.read_node()
    if record is not None and record.port is not None and is_answering(record):
        where = urlsplit(address(record))
        shim = Shim(
            lambda: http.client.HTTPConnection(str(where.hostname), where.port, timeout=CONNECT_S),
            secret,
            source,
            sink,
        )
        shim.run()
    else:
        import asyncio

        asyncio.run(_own_node(setting, secret if client else "", source, sink))
    return Outcome(None)


def _key(setting: Setting, client: str) -> str:
    """The token of a connected program; NotFound with what to do."""
    from legion_core.api.connect import Desk
    from legion_core.kernel.clock import SystemClock

    return Desk(setting.home.root, setting.env, SystemClock(), lambda: "").key(client)


def _leave(number: int, frame: object) -> None:
    sys.exit(0)


async def _own_node(setting: Setting, secret: str, source: "object", sink: "object") -> None:
    from legion_core.api.types import OWNER
    from legion_core.kernel.supervise import Supervisor
    from legion_core.surfaces.mcp.stdio import serve

    supervisor = Supervisor()
    async with setting.open_node(setting.home.root, env=setting.env, serve=False) as node:
        supervisor.spawn("tasks", node.legion.tasks.work())
        try:
            who = node.legion.ops.principal(secret) if secret else OWNER
            await serve(node.legion, supervisor, who, source, sink)  # pyright: ignore[reportArgumentType]
        finally:
            await supervisor.stop()


def _http(setting: Setting) -> Outcome:
    """Where other programs reach it; a node is started in the foreground if none runs."""
    from legion_core.surfaces.cli.connect import running

    found = running(setting.home, setting.env)
    if found is None:
        from legion_core.surfaces.cli.commands.start import start

        setting.say("No workbench runs, so one is started here. MCP is at /mcp of its address.")
        given = argparse.Namespace(full=False, host=None, port=None, detach=False)
        return start(setting, given)
    found.close()
    status = setting.backend.mcp.status()
    place = "LEGION_TOKEN" if setting.env.get("LEGION_TOKEN") else str(setting.home.token_path)
    text = words.pairs(
        [
            ("Address", status.url),
            ("Token", f"in {place}, as `Authorization: Bearer …`"),
            ("Tools", str(status.tools)),
            ("Clients", ", ".join(client.software or client.name for client in status.clients)),
            ("Calls", f"{status.running} running, {status.waiting} waiting" if status.clients else ""),
        ]
    )
    return Outcome(status, text)


def tools(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`tools`: every tool, and what a client may do with it."""
    rows = setting.backend.mcp.tools(args.client)
    lines = [(row.name, row.risk, row.standing, _first(row.description)) for row in rows]
    return Outcome(rows, words.table(("Tool", "Risk", f"For {args.client}", ""), lines))


def calls(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`calls`: what was called, newest first."""
    rows = setting.backend.mcp.calls(args.limit)
    lines = [
        (
            row.started_at.astimezone().strftime("%H:%M:%S"),
            row.client,
            row.tool,
            row.outcome,
            f"{row.duration_s:.2f} s" if row.duration_s is not None else "",
            _cut(row.message or row.arguments),
        )
        for row in rows
    ]
    text = words.table(("Began", "Client", "Tool", "", "Took", ""), lines) if rows else "Nothing was called."
    return Outcome(rows, text)


def allow(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`allow`: let a client call tools that do more than read."""
    grant = setting.backend.mcp.grant("allow", args.client, tuple(args.tools))
    told = f"{grant.client} may call {', '.join(grant.allow)}, and what only reads."
    return Outcome(grant, "\n".join([told, *_nobody(setting, args)]))


def forbid(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`forbid`: hide tools from a client."""
    grant = setting.backend.mcp.grant("forbid", args.client, tuple(args.tools))
    told = f"{grant.client} does not see {', '.join(grant.deny)}."
    return Outcome(grant, "\n".join([told, *_nobody(setting, args)]))


def _nobody(setting: Setting, args: argparse.Namespace) -> list[str]:
    """What a grant names that is not there: it may come later, or be a slip of the pen."""
    from fnmatch import fnmatchcase

    backend, told = setting.backend, list[str]()
    known = [row.name for row in backend.mcp.tools(args.client)]
    if missing := [name for name in args.tools if not any(fnmatchcase(each, name) for each in known)]:
        told.append(f"No tool goes by {', '.join(missing)} yet; `legion mcp tools` lists them.")
    # A token made anew under its name is not granted what the one before it was: it goes by NAME~2.
    tokens = {row.subject: row.name for row in backend.rights.tokens() if row.state == "active"}
    if args.client not in ("owner", "*", *tokens):
        again = [subject for subject, name in tokens.items() if name == args.client]
        hint = f"`--client {again[0]}` is the one made anew" if again else "`legion token list` lists them"
        told.append(f"No token goes by {args.client} {'any more' if again else 'yet'}; {hint}.")
    return told


def reset(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`reset`: back to what only reads."""
    grant = setting.backend.mcp.grant("reset", args.client, ())
    return Outcome(grant, f"{grant.client} may call what only reads, and nothing else.")


def grants(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`grants`: what was allowed and forbidden."""
    rows = setting.backend.mcp.grants()
    lines = [(row.client, ", ".join(row.allow), ", ".join(row.deny)) for row in rows]
    text = (
        words.table(("Client", "May call", "Does not see"), lines)
        if rows
        else "Every client may call what only reads."
    )
    return Outcome(rows, text)


def approvals(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`approvals`: the calls that wait for the user, with all that they would change. Only the window answers them."""
    waiting = setting.backend.mcp.approvals()
    parts: list[str] = []
    for each in waiting:
        asker = each.whose if each.conversation_id else each.software or each.client
        lines = [f"{each.tool}  {each.risk}, for {asker}, until {each.expires_at.astimezone():%H:%M:%S}"]
        lines += [f"  ! {note}" for note in each.notes]
        lines += [f"  {line}" for line in each.arguments.splitlines()]
        parts.append("\n".join([*lines, *_changes(each.changes)]))
    text = "\n\n".join(parts) or "No call waits."
    return Outcome(waiting, text + ("\n\nAnswer in the window." if waiting else ""))


def chat(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`chat ID`: the tools of a chat; `--on` and `--off` switch a source."""
    door = setting.backend.mcp
    told = None
    for is_on, sources in ((True, args.on), (False, args.off)):
        for source in sources:
            told = door.chat_switch(args.id, source, is_on)
    told = told or door.chat_tools(args.id)
    lines = [(each.key, "on" if each.is_on else "", str(each.tools), each.problem) for each in told.sources]
    text = words.table(("Source", "", "Tools", ""), lines) if lines else "There are no tools."
    return Outcome(told, f"{text}\n\n{told.problem}" if told.problem else text)


def yes(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`yes`: tools that chats may call unasked; `--forget` asks for one again."""
    door = setting.backend.mcp
    for tool in args.forget:
        door.forget_yes(tool)
    rows = door.yeses()
    lines = [(row.tool, row.source, f"{row.at.astimezone():%Y-%m-%d %H:%M}") for row in rows]
    text = words.table(("Tool", "Of", "Since"), lines) if rows else "Every tool is asked for."
    return Outcome(rows, text)


def _changes(changes: "Sequence[Change]") -> list[str]:
    """Each as a difference with signs, as everybody knows them."""
    lines: list[str] = []
    for change in changes:
        lines.append(f"  {change.what}  +{change.added} -{change.removed}")
        lines += [f"    {change.note}"] if change.note else []
        lines += [f"    {line.sign}{line.text}" for line in change.lines]
        lines += ["    … cut"] if change.is_cut else []
    return lines


def server(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`server ACTION`: other people's servers."""
    actions = {
        "add": _add,
        "list": _list,
        "show": _show,
        "look": _look,
        "approve": _approve,
        "on": _switch,
        "off": _switch,
        "remove": _remove,
        "login": _login,
        "logout": _logout,
    }
    return actions[args.verb](setting, args)


def _add(setting: Setting, args: argparse.Namespace) -> Outcome:
    from legion_core.agent.mcp.types import ServerSpec

    command = tuple(args.words[1:] if args.words[:1] == ["--"] else args.words)
    if command and Path(command[0]).name != command[0]:
        command = (str(Path(command[0]).absolute()), *command[1:])  # as whoever types it sees it
    spec = ServerSpec(
        name=args.name,
        command=command,
        env=_pairs(args.env, "--env"),
        cwd=str(Path(args.cwd).absolute()) if args.cwd else "",
        url=args.url,
        headers=_pairs(args.header, "--header"),
        timeout_s=args.timeout,
    )
    row = setting.backend.mcp.add(spec)
    return Outcome(
        row,
        f"{row.name} is registered; nothing was started. `legion mcp server look {row.name}` starts it once and shows its tools.",
    )


def _list(setting: Setting, args: argparse.Namespace) -> Outcome:
    rows = setting.backend.mcp.servers()
    lines = [(row.name, row.state, str(len(row.tools)), _launch(row), _cut(row.problem)) for row in rows]
    text = words.table(("Server", "State", "Tools", "Started as", ""), lines) if rows else "No servers."
    return Outcome(rows, text)


def _show(setting: Setting, args: argparse.Namespace) -> Outcome:
    row = setting.backend.mcp.server(args.name)
    return Outcome(row, _whole(row))


def _look(setting: Setting, args: argparse.Namespace) -> Outcome:
    row = _looked(setting, args.name)
    then = f"\n\nIf you trust it: legion mcp server approve {row.name} {row.fingerprint[:16]}"
    return Outcome(row, _whole(row) + (then if row.fingerprint != row.approved else ""))


def _looked(setting: Setting, name: str) -> "ServerRow":
    if setting.err.isatty():
        setting.aside(f"Asking {name} for its tools; a first start may take some seconds.")
    return setting.backend.mcp.look(name)


def _approve(setting: Setting, args: argparse.Namespace) -> Outcome:
    row = setting.backend.mcp.server(args.name)
    if not row.fingerprint:
        row = _looked(setting, args.name)
    if len(args.fingerprint) < 8 or not row.fingerprint.startswith(args.fingerprint):
        raise InvalidInput(
            f"{row.name} is not what you saw: its fingerprint is not {args.fingerprint}.",
            hint=f"`legion mcp server look {row.name}` shows it and its fingerprint.",
        )
    row = setting.backend.mcp.approve(args.name, row.fingerprint)
    return Outcome(row, f"{row.name} is approved: {len(row.tools)} tools, such as {row.tools[0].function}."
                   if row.tools else f"{row.name} is approved; it has no tools.")  # fmt: skip


def _switch(setting: Setting, args: argparse.Namespace) -> Outcome:
    row = setting.backend.mcp.switch(args.name, args.verb == "on")
    return Outcome(row, f"{row.name} is {args.verb}.")


def _login(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`server login`: the address goes to standard error, so that it is seen whatever reads the answer."""
    from urllib.parse import urlsplit

    url = setting.backend.mcp.sign_in(args.name)
    setting.aside(
        f"{args.name} sends you to {urlsplit(url).hostname}. Open this in your browser:\n\n  {url}\n"
    )
    setting.backend.mcp.signed_in(args.name)
    row = setting.backend.mcp.server(args.name)
    then = f" `legion mcp server look {row.name}` shows its tools." if row.fingerprint != row.approved else ""
    return Outcome(row, f"You are signed in at {row.name}.{then}")


def _logout(setting: Setting, args: argparse.Namespace) -> Outcome:
    row = setting.backend.mcp.sign_out(args.name)
    return Outcome(row, f"You are signed out of {row.name}; its tokens are forgotten.")


def _remove(setting: Setting, args: argparse.Namespace) -> Outcome:
    setting.backend.mcp.remove(args.name)
    return Outcome({"removed": args.name}, f"{args.name} is removed.")


def _whole(row: "ServerRow") -> str:
    from legion_core.api.mcp_asked import asked_of

    head = words.pairs(
        [
            ("Server", row.name),
            ("State", row.state),
            ("Signed in", "yes" if row.is_signed_in else ""),
            ("Says it is", row.software),
            ("Problem", row.problem),
            ("Wrote last", _last(row.said)),
            ("Fingerprint", row.fingerprint[:16]),
            ("Approved", row.approved[:16]),
        ]
    )
    parts = [head]
    if row.changes:
        parts.append("\n".join(["Changed since you approved it:", *_changes(row.changes)]))
    parts.append("\n".join(asked_of(row)))
    return "\n\n".join(parts)


def _launch(row: "ServerRow") -> str:
    import shlex

    return shlex.join(row.spec.command) if row.spec.command else row.spec.url


def _pairs(given: list[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise InvalidInput(f"{option} is NAME=VALUE, not {each[:60]!r}.")
        found[name] = value
    return found


def _first(text: str) -> str:
    return _cut(text.partition("\n")[0])


def _cut(text: str, chars_max: int = 80) -> str:
    return text if len(text) <= chars_max else f"{text[: chars_max - 1].rstrip()}…"


def _last(text: str, chars_max: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= chars_max else f"…{line[1 - chars_max :]}"


ACTIONS: Actions = {
    None: serve,
    "tools": tools,
    "calls": calls,
    "allow": allow,
    "forbid": forbid,
    "reset": reset,
    "grants": grants,
    "approvals": approvals,
    "chat": chat,
    "yes": yes,
    "server": server,
}
