"""A signed delivery starts its target once, and what is not signed starts nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.schedule_targets import Targets
from legion_core.engine.webhook_service import Unsigned, Webhooks
from legion_core.engine.webhook_signing import sign
from legion_core.engine.webhook_types import HookSpec
from legion_core.kernel.errors import Conflict, NotFound
from legion_core.kernel.ids import system_rng
from legion_core.kernel.ports import LOCAL_OWNER, OwnerOnly
from legion_core.testing.clock import SimClock
from legion_core.testing.schedules import UnderTest, open_scheduler
from tests.support.aio import run
from tests.unit.engine_core.runners import Box

START = datetime(2026, 1, 1, tzinfo=UTC)


class Desk:
    """A webhook service over a store of secrets in memory."""

    def __init__(self, here: UnderTest, clock: SimClock) -> None:
        self.here = here
        self.clock = clock
        self.secrets: dict[str, str] = {}
        self.hooks = Webhooks(
            clock, system_rng(), OwnerOnly(), here.database,
            Targets(here.engine, here.database, system_rng(), lambda: None), self.get, self.keep, self.forget,
        )  # fmt: skip

    async def get(self, reference: str) -> str:
        name = reference.partition("://")[2]
        if name not in self.secrets:
            raise NotFound("no such secret")
        return self.secrets[name]

    async def keep(self, name: str, value: str) -> str:
        self.secrets[name] = value
        return f"keyring://{name}"

    async def forget(self, name: str) -> None:
        del self.secrets[name]

    async def add(self, name: str = "in", target: str = "box.it.echo", **more: object) -> str:
        _, secret = await self.hooks.add(LOCAL_OWNER, HookSpec(name=name, target=target, **more))  # type: ignore[arg-type]
        return secret

    def signed(
        self, secret: str, body: bytes, delivery: str = "msg_1", kind: str = "application/json"
    ) -> Mapping[str, str]:
        at_s = int(self.clock.utc_now().timestamp())
        return {**sign(secret, delivery, at_s, body), "content-type": kind}


Test = Callable[[Desk, Box], Awaitable[None]]


def scenario(tmp_path: Path, test: Test) -> None:
    async def work() -> None:
        box, clock = Box(), SimClock(start_utc=START)
        async with open_scheduler(tmp_path, {"box.it": box}, clock) as here:
            await test(Desk(here, clock), box)

    run(work())


def test_a_signed_delivery_starts_its_target_with_the_body(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add()
        body = b'{"value": 7}'
        got = await desk.hooks.receive("in", desk.signed(secret, body), {}, body)
        assert (got.status, got.is_new, got.delivery) == ("started", True, "msg_1")
        assert (await desk.here.engine.wait(got.task)).result == 7

    scenario(tmp_path, test)


def test_arguments_are_rendered_over_the_delivery(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add(
            args={"value": "{{ body.user.name }} by {{ query.from }} ({{ hook }}, {{ delivery }})"}
        )
        body = b'{"user": {"name": "Ada"}}'
        got = await desk.hooks.receive("in", desk.signed(secret, body), {"from": "mail"}, body)
        assert (await desk.here.engine.wait(got.task)).result == "Ada by mail (in, msg_1)"

    scenario(tmp_path, test)


def test_credentials_of_the_sender_are_not_for_templates(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add(args={"value": "{{ headers | json }}"})
        body = b"{}"
        headers = {
            **desk.signed(secret, body),
            "authorization": "Bearer abc",
            "cookie": "a=b",
            "x-from": "me",
        }
        got = await desk.hooks.receive("in", headers, {}, body)
        told = str((await desk.here.engine.wait(got.task)).result)
        assert "me" in told
        assert "Bearer" not in told
        assert "a=b" not in told

    scenario(tmp_path, test)


def test_the_same_delivery_starts_once_even_when_it_comes_twice_at_a_time(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add()
        body = b'{"value": 1}'
        headers = desk.signed(secret, body)
        got = await asyncio.gather(*(desk.hooks.receive("in", headers, {}, body) for _ in range(8)))
        assert sum(each.is_new for each in got) == 1
        assert len({each.task for each in got}) == 1
        await desk.here.engine.wait(got[0].task)
        again = await desk.hooks.receive("in", headers, {}, body)
        assert (again.is_new, again.task) == (False, got[0].task)
        assert box.calls == [1]
        other = await desk.hooks.receive("in", desk.signed(secret, body, "msg_2"), {}, body)
        assert other.is_new
        await desk.here.engine.wait(other.task)

    scenario(tmp_path, test)


def test_what_is_not_signed_is_refused_alike_whatever_is_wrong(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add()
        body = b"{}"
        sentences: set[str] = set()
        for name, headers in (
            ("in", {}),
            ("in", desk.signed("wrong", body)),
            ("nobody", desk.signed(secret, body)),
            ("in", {**desk.signed(secret, body), "webhook-id": "other"}),
        ):
            with pytest.raises(Unsigned) as caught:
                await desk.hooks.receive(name, headers, {}, body)
            sentences.add(caught.value.sentence())
        assert len(sentences) == 1
        assert box.calls == []

    scenario(tmp_path, test)


def test_a_delivery_outside_its_window_is_refused_from_both_sides(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add(window_s=60.0)
        body = b'{"value": 1}'
        headers = desk.signed(secret, body)
        desk.clock.advance(61)
        with pytest.raises(Unsigned):
            await desk.hooks.receive("in", headers, {}, body)
        desk.clock.step_date(-200)
        with pytest.raises(Unsigned):
            await desk.hooks.receive("in", headers, {}, body)
        desk.clock.step_date(100)
        assert (await desk.hooks.receive("in", headers, {}, body)).is_new

    scenario(tmp_path, test)


def test_what_the_target_refuses_is_kept_with_its_reason(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add(target="box.it.add")
        body = b'{"nothing": 1}'
        got = await desk.hooks.receive("in", desk.signed(secret, body), {}, body)
        assert (got.status, got.task) == ("blocked", "")
        assert got.reason is not None
        assert got.reason.code == "schedule.refused"
        ((_, kept),) = await desk.hooks.page("in", 0, 10)
        assert kept.reason == got.reason

    scenario(tmp_path, test)


def test_a_paused_webhook_asks_its_senders_to_come_again(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add()
        body = b'{"value": 1}'
        await desk.hooks.set_state(LOCAL_OWNER, "in", "paused")
        with pytest.raises(Conflict):
            await desk.hooks.receive("in", desk.signed(secret, body), {}, body)
        await desk.hooks.set_state(LOCAL_OWNER, "in", "active")
        assert (await desk.hooks.receive("in", desk.signed(secret, body), {}, body)).is_new

    scenario(tmp_path, test)


def test_forms_and_text_are_read_as_what_they_are(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        secret = await desk.add(args={"value": "{{ body.a }}"})
        form, nested = b"a=1&b=2", b"payload=%7B%22a%22%3A%22deep%22%7D"
        for number, (body, expected) in enumerate(((form, "1"), (nested, "deep"))):
            headers = desk.signed(secret, body, f"msg_{number}", "application/x-www-form-urlencoded")
            got = await desk.hooks.receive("in", headers, {}, body)
            assert (await desk.here.engine.wait(got.task)).result == expected

    scenario(tmp_path, test)


def test_a_removed_webhook_takes_its_secret_along(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        await desk.add()
        assert list(desk.secrets) == ["hook-in"]
        with pytest.raises(Conflict):
            await desk.add()
        await desk.hooks.remove(LOCAL_OWNER, "in")
        assert desk.secrets == {}
        with pytest.raises(NotFound):
            await desk.hooks.get("in")
        await desk.add()

    scenario(tmp_path, test)


def test_every_fault_of_a_webhook_is_told_before_it_is_kept(tmp_path: Path) -> None:
    async def test(desk: Desk, box: Box) -> None:
        with pytest.raises(InvalidDocument) as caught:
            await desk.add("A/B", window_s=0.0, args={"value": "{{ body."})
        assert {"name", "window_s"} < {fault.key for fault in caught.value.faults}
        with pytest.raises(NotFound):
            await desk.add(target="box.it.nothing")
        with pytest.raises(NotFound):
            await desk.add(secret="env://NOT_SET")

    scenario(tmp_path, test)
