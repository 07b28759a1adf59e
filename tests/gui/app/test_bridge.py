import asyncio

import pytest

from app.bridge import GENERIC, Bridge
from legion_core.api.types import ConversationChanged, Event, ModelChanged
from legion_core.kernel.errors import NotFound
from legion_core.kernel.supervise import Supervisor
from tests.gui.conftest import Stage
from tests.gui.fake_legion import FakeLegion
from tests.support.aio import run


async def answer(value: str) -> str:
    return value


async def fail(error: Exception) -> str:
    raise error


def test_an_intent_waits_for_the_engine(stage: Stage) -> None:
    got: list[str] = []

    async def act() -> None:
        work = Supervisor()
        bridge = Bridge(work)
        bridge.launch("x", lambda _: answer("there"), got.append)
        await asyncio.sleep(0)
        assert got == []
        bridge.connect_engine(stage.legion)  # type: ignore[arg-type]
        for _ in range(5):
            await asyncio.sleep(0)
        bridge.close()
        await work.stop()

    run(act())
    assert got == ["there"]


def test_a_refusal_is_told_in_the_errors_own_words(stage: Stage) -> None:
    stage.connect()
    stage.bridge.launch(
        "x", lambda _: fail(NotFound("There is no such chat.", hint="It may be in the Trash."))
    )
    assert stage.refusals == ["There is no such chat. It may be in the Trash."]


@pytest.mark.allow_log("the intent x failed")
def test_an_error_nobody_expected_is_logged_and_told(stage: Stage) -> None:
    stage.connect()
    told: list[str] = []
    stage.bridge.launch("x", lambda _: fail(KeyError("inside")), None, told.append)
    assert told == [GENERIC]
    assert stage.refusals == []


def test_without_an_engine_the_reason_is_given(stage: Stage) -> None:
    stage.bridge.give_up("Port 4567 is in use.")
    stage.bridge.launch("x", lambda _: answer("never"))
    assert stage.refusals == ["Port 4567 is in use."]


def test_facts_reach_only_those_who_asked_in_order_and_as_one_batch() -> None:
    batches: list[list[str]] = []

    async def act() -> None:
        legion = FakeLegion()
        work = Supervisor()
        bridge = Bridge(work)

        def handler(facts: "list[Event]") -> None:
            batches.append([fact.conversation_id for fact in facts if isinstance(fact, ConversationChanged)])

        bridge.watch(handler, ConversationChanged)  # type: ignore[arg-type]
        bridge.connect_engine(legion)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        at_utc, at_mono_s = legion.events.stamp()
        for name in ("a", "b"):
            legion.events.publish(
                ConversationChanged(conversation_id=name, at_utc=at_utc, at_mono_s=at_mono_s)
            )
        legion.events.publish(ModelChanged(name="m", at_utc=at_utc, at_mono_s=at_mono_s))
        for _ in range(5):
            await asyncio.sleep(0)
        bridge.close()
        await work.stop()

    run(act())
    assert batches == [["a", "b"]]


def test_a_watcher_that_comes_after_the_engine_hears_what_happens_from_then_on() -> None:
    heard: list[str] = []

    async def act() -> None:
        legion = FakeLegion()
        work = Supervisor()
        bridge = Bridge(work)
        bridge.watch(lambda facts: None, ConversationChanged)
        bridge.connect_engine(legion)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        at_utc, at_mono_s = legion.events.stamp()
        legion.events.publish(ModelChanged(name="before", at_utc=at_utc, at_mono_s=at_mono_s))
        for _ in range(2):
            bridge.watch(
                lambda facts: heard.extend(fact.name for fact in facts),  # type: ignore[attr-defined]
                ModelChanged,
            )
        await asyncio.sleep(0)
        legion.events.publish(ModelChanged(name="after", at_utc=at_utc, at_mono_s=at_mono_s))
        for _ in range(5):
            await asyncio.sleep(0)
        bridge.close()
        await work.stop()

    run(act())
    assert heard == ["after", "after"]


@pytest.mark.allow_log("unexpected error in the window")
def test_a_watcher_that_fails_does_not_silence_the_others(stage: Stage) -> None:
    heard: list[int] = []

    def broken(_: object) -> None:
        raise KeyError("broken")

    stage.bridge.watch(broken, ConversationChanged)
    stage.bridge.watch(lambda facts: heard.append(len(facts)), ConversationChanged)
    at_utc, at_mono_s = stage.legion.events.stamp()
    stage.bridge.deliver([ConversationChanged(conversation_id="a", at_utc=at_utc, at_mono_s=at_mono_s)])
    assert heard == [1]
    assert stage.refusals == [GENERIC]
