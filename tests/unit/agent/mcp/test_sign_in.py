"""Signing in at somebody's server: only when the user wants it, only over what cannot be read along, and ended on demand."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from legion_core.agent.mcp.service import Servers
from legion_core.agent.mcp.sign_in import SignInNeeded, listening
from legion_core.agent.mcp.tokens import SignedIn
from legion_core.agent.mcp.types import ServerSpec
from legion_core.engine.registry import Registry
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Denied, InvalidInput, LegionError, NotFound, Refused
from legion_core.kernel.events import EventBus
from legion_core.kernel.ports import LOCAL_OWNER, Principal
from legion_core.kernel.supervise import Supervisor
from tests.support.aio import run
from tests.unit.agent.mcp.oauth_servers import Guarded, Signer, serving

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|OAuth|legion.supervise|Failed")]


class Store:
    """Secrets in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.learnt: list[str] = []

    async def get(self, reference: str) -> str:
        name = reference.removeprefix("keyring://")
        if name not in self.kept:
            raise NotFound("no such secret")
        return self.kept[name]

    async def set(self, name: str, value: str) -> str:
        self.kept[name] = value
        return f"keyring://{name}"

    async def remove(self, name: str) -> None:
        if self.kept.pop(name, None) is None:
            raise NotFound("no such secret")

    def learn(self, name: str, value: str) -> None:
        self.learnt.append(value)


class Held:
    def __init__(self, path: Path) -> None:
        clock = SystemClock()
        self.supervisor, self.store = Supervisor(), Store()
        self.servers = Servers(
            clock, EventBus(clock), self.supervisor, self.store.get, Registry({}, path / "extensions"),
            path / "servers.json", {}, self.store,
        )  # fmt: skip

    async def stop(self) -> None:
        await self.servers.stop()
        await self.supervisor.stop()


@pytest.fixture
def both() -> Iterator[tuple[Signer, Guarded]]:
    with serving() as made:
        yield made


async def browse(url: str, change: dict[str, str] | None = None, path: str = "") -> int:
    """What a browser does: go there, and follow where it is sent."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
        back = httpx.URL(answer.headers["location"])
        if change:
            back = back.copy_with(params={**dict(back.params), **change})
        if path:
            back = back.copy_with(path=path)
        return (await client.get(back)).status_code


async def signed_in(held: Held, guarded: Guarded) -> Any:
    await held.servers.add(ServerSpec(name="theirs", url=f"{guarded.url}/mcp", timeout_s=10.0), LOCAL_OWNER)
    assert await browse(await held.servers.sign_in("theirs", LOCAL_OWNER)) == 200
    return await held.servers.signed_in("theirs", LOCAL_OWNER)


def test_a_server_that_wants_a_sign_in_waits_for_the_user_and_nobody_is_registered_before(
    tmp_path: Path, both: tuple[Signer, Guarded]
) -> None:
    signer, guarded = both

    async def check() -> None:
        held = Held(tmp_path)
        try:
            await held.servers.add(ServerSpec(name="theirs", url=f"{guarded.url}/mcp"), LOCAL_OWNER)
            with pytest.raises(SignInNeeded) as raised:
                await held.servers.look("theirs", LOCAL_OWNER)
            assert "legion mcp server login theirs" in raised.value.hint
            row = await held.servers.get("theirs")
            assert (row.state, row.failures) == ("signin", 0)
            assert signer.asked == []
            assert held.store.kept == {}
        finally:
            await held.stop()

    run(check())


@pytest.mark.requirement("mcp.sign-in")
def test_a_sign_in_is_by_the_book_and_its_tokens_lie_in_the_store_alone(
    tmp_path: Path, both: tuple[Signer, Guarded]
) -> None:
    signer, guarded = both

    async def check() -> None:
        held = Held(tmp_path)
        try:
            row = await signed_in(held, guarded)
            assert signer.faults == []
            assert row.is_signed_in
            assert [tool.name for tool in row.tools] == ["add"]
            assert list(held.store.kept) == ["mcp-sign-in-theirs"]
            assert "SECRETaccess" in held.store.kept["mcp-sign-in-theirs"]
            assert any(word.startswith("SECRETaccess") for word in held.store.learnt)
            assert any(word.startswith("SECRETrefresh") for word in held.store.learnt)
            on_disk = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
            assert b"SECRET" not in on_disk
            # A second start needs no browser.
            before = len(signer.asked)
            await held.servers.look("theirs", LOCAL_OWNER)
            assert len(signer.asked) == before
        finally:
            await held.stop()

    run(check())


def test_a_token_that_ended_is_renewed_without_the_user_and_where_that_fails_the_user_is_asked(
    tmp_path: Path, both: tuple[Signer, Guarded]
) -> None:
    signer, guarded = both

    async def check() -> None:
        held = Held(tmp_path)
        try:
            await signed_in(held, guarded)
            kept = held.store.kept
            found = msgspec.json.decode(kept["mcp-sign-in-theirs"], type=SignedIn)
            ended = msgspec.structs.replace(found, ends_at_s=1.0)
            kept["mcp-sign-in-theirs"] = msgspec.json.encode(ended).decode()
            signer.live.clear()
            before, shown = len(signer.asked), len(guarded.shown)
            assert (await held.servers.look("theirs", LOCAL_OWNER)).tools
            assert signer.asked[before:] == ["POST /token"]
            assert kept["mcp-sign-in-theirs"] != msgspec.json.encode(ended).decode()
            # What is no access token never reaches the server, and the one that ended is not shown again.
            assert not any("refresh" in token for token in guarded.shown[shown:])
            # Ended before its time: nobody is sent to a browser unasked.
            signer.live.clear()
            signer.refresh.clear()
            with pytest.raises(SignInNeeded):
                await held.servers.look("theirs", LOCAL_OWNER)
            assert (await held.servers.get("theirs")).state == "signin"
            assert signer.asked.count("GET /authorize") == 1
            assert len(signer.clients) == 1
        finally:
            await held.stop()

    run(check())


@pytest.mark.parametrize(
    "change", [{"state": "forged"}, {"iss": "https://evil.example"}, {"error": "access_denied", "code": ""}]
)
def test_what_comes_back_from_elsewhere_is_worth_nothing(
    tmp_path: Path, both: tuple[Signer, Guarded], change: dict[str, str]
) -> None:
    signer, guarded = both

    async def check() -> None:
        held = Held(tmp_path)
        try:
            await held.servers.add(ServerSpec(name="theirs", url=f"{guarded.url}/mcp"), LOCAL_OWNER)
            await browse(await held.servers.sign_in("theirs", LOCAL_OWNER), change)
            with pytest.raises(LegionError):
                await held.servers.signed_in("theirs", LOCAL_OWNER)
            assert signer.live == {}
            assert not any(token.startswith("SECRET") for token in guarded.shown)
        finally:
            await held.stop()

    run(check())


def test_a_removed_server_has_its_tokens_revoked_and_forgotten(
    tmp_path: Path, both: tuple[Signer, Guarded]
) -> None:
    signer, guarded = both

    async def check() -> None:
        held = Held(tmp_path)
        try:
            await signed_in(held, guarded)
            await held.servers.remove("theirs", LOCAL_OWNER)
            assert [token[:13] for token in signer.revoked] == ["SECRETrefresh"]
            assert held.store.kept == {}
        finally:
            await held.stop()

    run(check())


def test_a_token_never_goes_to_another_address_of_the_same_name(
    tmp_path: Path, both: tuple[Signer, Guarded]
) -> None:
    _, guarded = both

    async def check() -> None:
        held = Held(tmp_path)
        with serving() as (_, evil):
            try:
                await signed_in(held, guarded)
                await held.servers.add(ServerSpec(name="theirs", url=f"{evil.url}/mcp"), LOCAL_OWNER)
                with pytest.raises(SignInNeeded):
                    await held.servers.look("theirs", LOCAL_OWNER)
                assert evil.shown
                assert not any("SECRET" in token for token in evil.shown)
            finally:
                await held.stop()

    run(check())


@pytest.mark.parametrize(
    "metadata",
    [
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"registration_endpoint": "http://169.254.169.254/latest"},
        {"issuer": "https://other.example"},
    ],
)
def test_where_to_sign_in_is_not_the_servers_free_choice(
    tmp_path: Path, both: tuple[Signer, Guarded], metadata: dict[str, str]
) -> None:
    signer, guarded = both
    signer.metadata = metadata

    async def check() -> None:
        held = Held(tmp_path)
        try:
            await held.servers.add(ServerSpec(name="theirs", url=f"{guarded.url}/mcp"), LOCAL_OWNER)
            with pytest.raises(LegionError):
                await held.servers.sign_in("theirs", LOCAL_OWNER)
            assert signer.live == {}
        finally:
            await held.stop()

    run(check())


def test_nobody_but_the_owner_signs_in_and_a_program_has_nothing_to_sign_in_at(tmp_path: Path) -> None:
    async def check() -> None:
        held = Held(tmp_path)
        try:
            agent = Principal(name="agent", carrier="token", token="tok_1")
            await held.servers.add(ServerSpec(name="mine", command=("true",)), LOCAL_OWNER)
            with pytest.raises(Denied):
                await held.servers.sign_in("mine", agent)
            with pytest.raises(Denied):
                await held.servers.sign_out("mine", agent)
            with pytest.raises(InvalidInput):
                await held.servers.sign_in("mine", LOCAL_OWNER)
            with pytest.raises(NotFound):
                await held.servers.signed_in("mine", LOCAL_OWNER)
        finally:
            await held.stop()

    run(check())


def test_a_page_elsewhere_cannot_end_a_sign_in(tmp_path: Path) -> None:
    async def check() -> None:
        async with listening(lambda _: None) as listener:
            parts = urlsplit(listener.redirect_uri)
            assert parts.hostname == "127.0.0.1"

            async def send(head: str) -> bytes:
                reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
                writer.write(head.encode())
                answer = await reader.read()
                writer.close()
                await writer.wait_closed()
                return answer.split(b"\r\n")[0]

            good = f"GET {parts.path}?code=c&state=s HTTP/1.1\r\n"
            host = f"Host: 127.0.0.1:{parts.port}\r\n"
            assert b"404" in await send(f"GET /back/guess?code=c HTTP/1.1\r\n{host}\r\n")
            assert b"404" in await send(f"{good}Host: evil.example:{parts.port}\r\n\r\n")
            assert b"404" in await send(f"{good}{host}{host}\r\n")
            assert b"404" in await send(f"{good}\r\n")
            assert b"405" in await send(f"POST {parts.path}?code=c HTTP/1.1\r\n{host}\r\n")
            assert b"400" in await send(f"GET {parts.path}?code=c&code=d HTTP/1.1\r\n{host}\r\n")
            waiting = asyncio.create_task(listener.back())
            assert b"200" in await send(f"{good}{host}\r\n")
            found = await waiting
            assert (found.code, found.state) == ("c", "s")
        async with listening(lambda _: None) as refused:
            refused._came.set_result({"error": "access_denied\x1b[31m"})
            with pytest.raises(Refused) as raised:
                await refused.back()
            assert "\x1b" not in raised.value.message

    run(check())
