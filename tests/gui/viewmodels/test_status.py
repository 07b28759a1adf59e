import msgspec
import pytest

from app.viewmodels.status import StatusViewModel
from legion_core.api.types import AttemptEnded, ModelChanged, Usage
from tests.gui.conftest import Stage


@pytest.fixture
def status(stage: Stage) -> StatusViewModel:
    return StatusViewModel(stage.bridge)


def test_before_the_engine_is_up_the_strip_says_so(status: StatusViewModel) -> None:
    assert status.words.engine == "Engine starting"
    assert status.words.model == ""


def test_model_spend_and_address(stage: Stage, status: StatusViewModel) -> None:
    stage.connect()
    assert status.words.engine == "Engine running"
    assert (status.words.model, status.words.model_tier) == ("smollm2-135m-instruct", "local")
    assert status.words.spend == "$0.14 today"
    assert status.words.speed == "idle"


def test_the_open_chats_last_answer_fills_context_and_speed(stage: Stage, status: StatusViewModel) -> None:
    stage.connect()
    cid = stage.legion.chat.add("Chat", "q", "a")
    status.show_answer(stage.legion.chat.messages[cid][1])
    assert status.words.context == "Context 62 of 2k"
    assert status.words.speed == "19 tok/s"


def test_the_context_counts_what_came_from_a_cache_and_no_attempt_twice(
    stage: Stage, status: StatusViewModel
) -> None:
    stage.connect()
    cid = stage.legion.chat.add("Chat", "q", "a")
    last = stage.legion.chat.messages[cid][1]
    usage = Usage(input_tokens=12, cache_read_tokens=24, output_tokens=265)
    attempt = msgspec.structs.replace(last.attempts[0], usage=usage)
    twice = Usage(input_tokens=24, cache_read_tokens=48, output_tokens=300)
    status.show_answer(msgspec.structs.replace(last, usage=twice, attempts=(attempt, attempt)))
    assert status.words.context == "Context 301 of 2k"


def test_without_an_address_it_is_said_but_the_engine_runs(stage: Stage, status: StatusViewModel) -> None:
    stage.legion.ops.value = msgspec.structs.replace(
        stage.legion.ops.value, url="", problem="Port 4567 is in use."
    )
    stage.connect()
    assert status.words.engine == "Engine running, no address"
    assert status.words.engine_tip == "Port 4567 is in use."
    assert status.words.engine_dot == "warn.mark"


def test_it_asks_when_something_happened_and_not_by_the_clock(stage: Stage, status: StatusViewModel) -> None:
    stage.connect()
    asked = stage.spawner.names.count("app.status")
    at_utc, at_mono_s = stage.legion.events.stamp()
    stage.legion.events.publish(ModelChanged(name="m", at_utc=at_utc, at_mono_s=at_mono_s))
    stage.deliver()
    assert stage.spawner.names.count("app.status") == asked + 1


def test_a_failed_engine_is_said_with_its_reason(status: StatusViewModel) -> None:
    status.engine_failed("The home is a file.")
    assert (status.words.engine, status.words.engine_tip) == ("Engine stopped", "The home is a file.")


def test_a_chat_that_was_never_sent_here_shows_what_is_estimated_and_never_nought(
    stage: Stage, status: StatusViewModel
) -> None:
    stage.legion.ops.value = msgspec.structs.replace(stage.legion.ops.value, model="smollm2-135m")
    stage.connect()
    assert status.words.context == "Context 0 of 2k"  # a new chat
    cid = stage.legion.chat.add("Imported", "q", "a")
    imported = msgspec.structs.replace(stage.legion.chat.messages[cid][1], usage=None)
    status.show_answer(imported)
    assert status.words.context == ""  # nobody has counted it yet
    status.show_estimate(68_200)
    assert status.words.context == "Context about 68.2k of 2k"
    status.show_answer(
        msgspec.structs.replace(imported, usage=Usage())
    )  # nobody answered: nothing was measured
    assert status.words.context == "Context about 68.2k of 2k"
    status.show_estimate(0)
    status.show_answer(None)
    assert status.words.context == "Context 0 of 2k"


def test_the_model_named_is_the_one_whose_speed_and_context_stand_beside_it(
    stage: Stage, status: StatusViewModel
) -> None:
    stage.connect()
    cid = stage.legion.chat.add("Chat", "q", "a", tier="fleet")
    last = msgspec.structs.replace(stage.legion.chat.messages[cid][1], model="qwen3-32b")
    status.show_answer(last)
    assert (status.words.model, status.words.model_tier) == ("qwen3-32b", "fleet")
    status.show_answer(None)
    assert status.words.model == "smollm2-135m-instruct"


def test_what_other_programs_spend_is_asked_once_a_while_and_never_without_them(
    stage: Stage, status: StatusViewModel
) -> None:
    stage.connect()
    asked = stage.spawner.names.count("app.status")
    assert not status.pause.isActive()
    at_utc, at_mono_s = stage.legion.events.stamp()
    for number in range(5):
        stage.legion.events.publish(
            AttemptEnded(
                at_utc=at_utc, at_mono_s=at_mono_s, request_id=f"r{number}", number=1, tier="cloud", instance="x",
                model="m", outcome="succeeded",
            )
        )  # fmt: skip
        stage.deliver()
    assert status.pause.isActive()
    assert stage.spawner.names.count("app.status") == asked
    status.pause.stop()
    status.pause.timeout.emit()
    stage.deliver()
    assert stage.spawner.names.count("app.status") == asked + 1
