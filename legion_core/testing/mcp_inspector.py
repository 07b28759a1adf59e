"""The official inspector against our server: over HTTP and by `legion mcp`, in both revisions of the protocol."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Any, Final, cast

from legion_core.testing.mcp_public import Place, Ran

REPEAT: Final = "papers-notes-repeat"
KEEP: Final = "papers-notes-keep"
CALLS: Final = 200
# What the inspector says by its exit status.
_REFUSED, _NOT_ALLOWED, _TOOL_FAILED = 1, 3, 5


@dataclass(frozen=True, slots=True)
class Way:
    """How the inspector reaches us: `http` or `stdio`, and the revision (`legacy` is 2025-11-25, `modern` 2026-07-28)."""

    place: Place
    kind: str
    era: str

    async def ask(self, method: str, *words: str, secret: str | None = None) -> Ran:
        """One question. `secret` empty is no token, None is the owner's."""
        place = self.place
        given = place.secret if secret is None else secret
        if self.kind == "http":
            target = [place.url, "--transport", "http", "--stored-auth-only"]
            target += ["--header", f"Authorization: Bearer {given}"] if given else []
        else:
            target = [sys.executable, "-m", "legion_core", "mcp"]
            for name in ("LEGION_HOME", "PYTHONPATH"):
                target += ["-e", f"{name}={place.env[name]}"]
            target += ["-e", f"LEGION_TOKEN={given}"] if secret is not None else []
        return await place.inspector(*target, "--protocol-era", self.era, "--method", method, *words)

    def expect(self, what: str, is_right: bool, ran: Ran) -> None:
        """Count a check."""
        self.place.sheet.expect(
            f"inspector, {self.kind}, {self.era}: {what}", is_right, f"({ran.status}) {ran.words}"
        )


async def inspected(place: Place) -> None:
    """All of it, on a node that serves."""
    ways = [Way(place, kind, era) for kind in ("http", "stdio") for era in ("legacy", "modern")]
    await asyncio.gather(*(each(way) for way in ways for each in (_tools, _calls, _resources, _prompts)))
    await asyncio.gather(*(_refused(way) for way in ways))
    for way in ways[:3]:
        await _many(way)
    await _granted(ways[1])


async def _tools(way: Way) -> None:
    ran = await way.ask("tools/list", "--strict")
    tools = {tool["name"]: tool for tool in _rows(ran, "tools")}
    way.expect("tools/list", ran.status == 0 and "workbench-status" in tools, ran)
    repeat = tools.get(REPEAT, {})
    given = repeat.get("inputSchema", {})
    is_typed = given.get("required") == ["text"] and given["properties"]["times"]["maximum"] == 9
    way.expect("a function's own schema is listed", is_typed, ran)
    way.expect("what only reads says so", repeat.get("annotations", {}).get("readOnlyHint") is True, ran)
    way.expect("what writes is not listed", bool(tools) and KEEP not in tools, ran)


async def _calls(way: Way) -> None:
    ran = await way.ask("tools/call", "--tool-name", REPEAT, "--tool-args-json", '{"text": "ab", "times": 3}')
    way.expect("tools/call", ran.told.get("structuredContent") == {"text": "ababab"}, ran)
    for what, given in (("none", "{}"), ("out of bounds", '{"text": "ab", "times": 99}')):
        ran = await way.ask("tools/call", "--tool-name", REPEAT, "--tool-args-json", given)
        is_told = ran.told.get("isError") is True and "do not fit" in ran.out
        way.expect(f"tools/call with arguments that are {what}", is_told and ran.status == _TOOL_FAILED, ran)
    ran = await way.ask("tools/call", "--tool-name", KEEP, "--tool-args-json", '{"text": "ab"}')
    way.expect("a tool that writes is not called", ran.status == _TOOL_FAILED and "not found" in ran.err, ran)


async def _resources(way: Way) -> None:
    ran = await way.ask("resources/list")
    listed = {each["uri"] for each in _rows(ran, "resources")}
    way.expect("resources/list", {"legion://status", "legion://tasks", "legion://runners"} <= listed, ran)
    ran = await way.ask("resources/templates/list")
    found = {each["uriTemplate"] for each in _rows(ran, "resourceTemplates")}
    way.expect("resources/templates/list", "legion://tasks/{task}/log" in found, ran)
    for uri, word in (("legion://status", "uptime_s"), ("legion://extensions/papers", "papers.notes.repeat")):
        ran = await way.ask("resources/read", "--uri", uri)
        way.expect(f"resources/read {uri}", word in str(_rows(ran, "contents")), ran)
    ran = await way.ask("resources/read", "--uri", "legion://nowhere")
    way.expect("resources/read of nothing", ran.status == _REFUSED and "There is nothing at" in ran.err, ran)


async def _prompts(way: Way) -> None:
    ran = await way.ask("prompts/list")
    way.expect("prompts/list", "write-chain" in {each["name"] for each in _rows(ran, "prompts")}, ran)
    ran = await way.ask("prompts/get", "--prompt-name", "write-chain", "--prompt-args", "goal=count words")
    way.expect("prompts/get", "count words" in str(_rows(ran, "messages")), ran)
    ran = await way.ask("prompts/get", "--prompt-name", "write-chain")
    way.expect("prompts/get without its argument", ran.status == _REFUSED and "goal" in ran.err, ran)
    ran = await way.ask("prompts/get", "--prompt-name", "nothing")
    way.expect("prompts/get of nothing", ran.status == _REFUSED and "There is no prompt" in ran.err, ran)


async def _refused(way: Way) -> None:
    """Without the right token nothing is answered, and nothing of the refusal tells what there is."""
    secrets = ("", "lgn_wrong") if way.kind == "http" else ("lgn_wrong",)
    for secret in secrets:
        ran = await way.ask("tools/list", secret=secret)
        is_refused = ran.status in (_REFUSED, _NOT_ALLOWED) and "workbench" not in ran.out
        way.expect(f"{'a wrong' if secret else 'no'} token is refused", is_refused, ran)


async def _many(way: Way) -> None:
    """The inspector's own load: calls side by side on one connection."""
    load = ("--load", "--load-requests", str(CALLS), "--load-concurrency", "10")
    ran = await way.ask("tools/call", "--tool-name", REPEAT, "--tool-args-json", '{"text": "ab"}', *load)
    way.expect(f"{CALLS} calls, ten at a time", ran.told.get("ok") == CALLS, ran)


async def _granted(way: Way) -> None:
    """A client of its own: what writes is called once the user allowed it, and no more when it is taken back."""
    place = way.place
    made = await place.legion("token", "create", "inspector", "--scope", "mcp", "--scope", "tasks")
    secret = str(made.data.get("secret", ""))
    way.expect("a token of its own", bool(secret), made)
    call = ("tools/call", "--tool-name", KEEP, "--tool-args-json", '{"text": "kept"}')
    for verb, is_called in (("allow", True), ("forbid", False), ("reset", False)):
        names = () if verb == "reset" else (KEEP,)
        await place.legion("mcp", verb, *names, "--client", "inspector")
        ran = await way.ask(*call, secret=secret)
        way.expect(
            f"after `{verb}` it is {'' if is_called else 'not '}called", ("kept" in ran.out) is is_called, ran
        )
    await place.legion("token", "revoke", "inspector")
    ran = await way.ask("tools/list", secret=secret)
    way.expect("a revoked token is refused", ran.status != 0, ran)


def _rows(ran: Ran, name: str) -> list[dict[str, Any]]:
    found: object = ran.told.get(name)
    return cast("list[dict[str, Any]]", found) if isinstance(found, list) else []
