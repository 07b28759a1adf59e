"""Google's own library signs in through our one way out, and what was opened for a sign-in is closed behind it."""

import asyncio

import pytest

from legion_core.gateway.providers import vertex_auth
from legion_core.kernel.errors import LegionError
from legion_core.kernel.fetch.client import Fetcher
from tests.support.aio import run
from tests.support.loopback import answering


@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_sign_in_asked_through_is_closed_also_where_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    closed: list[Fetcher] = []

    class Watched(Fetcher):
        async def aclose(self) -> None:
            closed.append(self)
            await super().aclose()

    monkeypatch.setattr(vertex_auth, "Fetcher", Watched)

    async def sign_in(origin: str) -> int:
        transport = vertex_auth._Transport(RuntimeError, asyncio.get_running_loop(), "vertex")
        return (await transport._ask("POST", f"{origin}/token", b"{}", {}, 60.0)).status

    with answering(lambda _: (200, b"{}")) as server:
        origin = server.origin
        if is_there:
            assert run(sign_in(origin)) == 200
            assert [asked.path for asked in server.asked] == ["/token"]
    if not is_there:
        with pytest.raises(LegionError):
            run(sign_in(origin))
    assert len(closed) == 1
