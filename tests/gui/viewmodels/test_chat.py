from datetime import timedelta

import pytest

from app.viewmodels.chat import PENDING, ChatViewModel
from app.viewmodels.chat_growing import EARLY_MAX
from app.viewmodels.chat_tiers import TIER_CHOICES
from legion_core.kernel.errors import Unavailable
from tests.gui.conftest import Stage


class Watch:
    """What the view would have been told, in order."""

    def __init__(self, chat: ChatViewModel) -> None:
        self.told: list[str] = []
        self.drafts: list[str] = []
        chat.opened.connect(lambda: self.told.append("opened"))
        chat.appended.connect(lambda message: self.told.append(f"appended {message.role}"))
        chat.changed.connect(lambda message: self.told.append(f"changed {message.role} {message.status}"))
        chat.grew.connect(lambda _id, text, _thinking: self.told.append(f"grew {text}"))
        chat.draft_loaded.connect(self.drafts.append)


@pytest.fixture
def chat(stage: Stage) -> ChatViewModel:
    made = ChatViewModel(stage.bridge, stage.now)
    stage.connect()
    return made


def answer_id(chat: ChatViewModel) -> str:
    assert chat.running is not None
    return chat.running.id


def test_a_question_is_shown_before_the_engine_is_up(stage: Stage) -> None:
    stage.spawner.hold()
    chat = ChatViewModel(stage.bridge, stage.now)
    assert chat.send("Hello")
    assert [message.text for message in chat.messages] == ["Hello"]
    assert chat.is_running
    stage.connect()
    stage.spawner.release()
    assert [message.role for message in chat.messages] == ["user", "assistant"]
    assert chat.conversation_id


def test_an_answer_grows_and_ends(stage: Stage, chat: ChatViewModel) -> None:
    watch = Watch(chat)
    chat.send("Hello")
    stage.legion.chat.grow(answer_id(chat), "Hi ")
    stage.legion.chat.grow(answer_id(chat), "there")
    stage.deliver()
    assert chat.text_of(answer_id(chat)) == "Hi there"
    stage.legion.chat.end(answer_id(chat))
    stage.deliver()
    assert not chat.is_running
    assert chat.last_answer is not None
    assert chat.last_answer.text == "Hi there"
    assert watch.told == [
        "appended user", "changed user complete", "appended assistant", "changed assistant streaming",
        "grew Hi ", "grew there", "changed assistant complete",
    ]  # fmt: skip


def test_facts_that_come_before_the_reply_are_not_lost(stage: Stage, chat: ChatViewModel) -> None:
    stage.spawner.hold()
    chat.send("Hello")
    turn_work = stage.spawner.held
    assert turn_work
    # The engine is faster than the reply: its facts are delivered while `send` has not returned.
    original = stage.legion.chat.send

    async def slow(*args: object, **named: object) -> object:
        turn = await original(*args, **named)  # type: ignore[arg-type]
        stage.legion.chat.grow(turn.answer_id, "early")
        stage.deliver()
        return turn

    stage.legion.chat.send = slow  # type: ignore[method-assign, assignment]
    stage.spawner.release()
    stage.deliver()
    assert chat.text_of(answer_id(chat)) == "early"
    assert not [call for call in stage.legion.chat.calls if call[0] == "open"]


def test_more_early_facts_than_are_kept_load_the_chat_instead(stage: Stage, chat: ChatViewModel) -> None:
    stage.spawner.hold()
    chat.send("Hello")
    original = stage.legion.chat.send

    async def slow(*args: object, **named: object) -> object:
        turn = await original(*args, **named)  # type: ignore[arg-type]
        for _ in range(EARLY_MAX):
            stage.legion.chat.grow(turn.answer_id, "a ")
            stage.deliver()
        stage.legion.chat.end(turn.answer_id)
        stage.deliver()
        return turn

    stage.legion.chat.send = slow  # type: ignore[method-assign, assignment]
    stage.spawner.release()
    stage.deliver()
    assert not chat.is_running
    assert chat.answers_running == 0
    assert chat.last_answer is not None
    assert (chat.last_answer.status, chat.last_answer.text) == ("complete", "a " * EARLY_MAX)


def test_a_lost_piece_loads_the_chat_again(stage: Stage, chat: ChatViewModel) -> None:
    chat.send("Hello")
    stage.deliver()
    stage.legion.chat.grow(answer_id(chat), "never seen ", is_lost=True)
    stage.legion.chat.grow(answer_id(chat), "seen")
    stage.deliver()
    assert chat.text_of(answer_id(chat)) == "never seen seen"
    assert [call for call in stage.legion.chat.calls if call[0] == "open"]


def test_a_refused_question_goes_back_to_the_composer_with_the_reason(
    stage: Stage, chat: ChatViewModel
) -> None:
    watch = Watch(chat)
    stage.legion.chat.refuse_send = Unavailable("No model could answer.", hint="Add one in Models.")
    chat.send("Do not lose me")
    assert chat.messages == []
    assert watch.drafts[-1] == "Do not lose me"
    assert stage.refusals == ["No model could answer. Add one in Models."]
    assert not chat.is_running
    assert chat.is_new


def test_only_one_answer_at_a_time_and_nothing_empty(chat: ChatViewModel) -> None:
    assert not chat.send("   ")
    assert chat.send("One")
    assert not chat.send("Two")


def test_stop_keeps_the_text_so_far(stage: Stage, chat: ChatViewModel) -> None:
    chat.send("Count")
    stage.legion.chat.grow(answer_id(chat), "one two")
    stage.deliver()
    assert chat.stop()
    stage.deliver()
    assert chat.last_answer is not None
    assert (chat.last_answer.status, chat.last_answer.text) == ("stopped", "one two")
    assert not chat.stop()


def test_opening_another_chat_drops_the_reply_of_the_first(stage: Stage, chat: ChatViewModel) -> None:
    first = stage.legion.chat.add("First", "a", "b")
    second = stage.legion.chat.add("Second", "c", "d")
    stage.spawner.hold()
    chat.open(first)
    chat.open(second)
    stage.spawner.release()
    assert chat.title == "Second"
    assert [message.text for message in chat.messages] == ["c", "d"]


def test_an_edit_and_another_answer_become_variants(stage: Stage, chat: ChatViewModel) -> None:
    stage_id = stage.legion.chat.add("Chat", "question", "answer")
    chat.open(stage_id)
    answer = chat.last_answer
    assert answer is not None
    chat.regenerate(answer.id)
    stage.deliver()
    running = chat.running
    assert running is not None
    assert (running.variant, running.variants) == (2, 2)
    stage.legion.chat.end(running.id, text="another")
    stage.deliver()
    question = chat.last_question
    assert question is not None
    chat.edit(question.id, "other question")
    stage.deliver()
    assert chat.last_question is not None
    assert chat.last_question.text == "other question"
    assert chat.last_question.variants == 2


def test_a_step_beyond_the_last_variant_does_nothing(stage: Stage, chat: ChatViewModel) -> None:
    chat.open(stage.legion.chat.add("Chat", "question", "answer"))
    answer = chat.last_answer
    assert answer is not None
    chat.regenerate(answer.id)
    stage.deliver()
    running = chat.running
    assert running is not None
    chat.step_variant(running.id, 1)
    assert not [call for call in stage.legion.chat.calls if call[0] == "choose"]


def test_a_draft_is_saved_for_its_chat_and_comes_back(stage: Stage, chat: ChatViewModel) -> None:
    watch = Watch(chat)
    first = stage.legion.chat.add("First", "a", "b")
    second = stage.legion.chat.add("Second", "c", "d")
    chat.open(first)
    chat.set_draft("half a thought")
    chat.open(second)
    assert watch.drafts[-1] == ""
    chat.open(first)
    assert watch.drafts[-1] == "half a thought"


def test_the_route_of_a_new_chat_stays_with_it(stage: Stage, chat: ChatViewModel) -> None:
    choice = TIER_CHOICES[1]
    chat.pin_route(choice.title, choice.pins)
    chat.send("Hello")
    assert chat.pins == choice.pins
    assert chat.pins_title == "Auto, at most local"
    sent = next(call for call in stage.legion.chat.calls if call[0] == "send")
    assert sent[4] == choice.pins
    chat.start_new()
    assert chat.pins is None


def test_an_answer_in_another_chat_is_told_but_not_shown(stage: Stage, chat: ChatViewModel) -> None:
    chat.send("Hello")
    running = answer_id(chat)
    ended: list[str] = []
    chat.ended.connect(lambda message: ended.append(message.id))
    chat.start_new()
    stage.legion.chat.grow(running, "text")
    stage.legion.chat.end(running)
    stage.deliver()
    assert chat.messages == []
    assert ended == [running]


def test_a_pending_question_gets_its_real_id(stage: Stage, chat: ChatViewModel) -> None:
    swapped: list[tuple[str, str]] = []
    chat.renamed_id.connect(lambda *ids: swapped.append(ids))
    chat.send("Hello")
    assert swapped[0][0] == PENDING
    assert chat.find(PENDING) is None


def loads(stage: Stage) -> list[str]:
    return [call[1] for call in stage.legion.models.calls if call[0] == "load"]


def test_the_local_model_is_loaded_when_typing_begins_and_not_at_every_key(
    stage: Stage, chat: ChatViewModel
) -> None:
    chat.set_draft("H")
    chat.set_draft("He")
    chat.set_draft("")
    chat.set_draft("W")
    assert loads(stage) == ["smollm2-135m"]
    stage.legion.clock.now += timedelta(minutes=5)
    chat.set_draft("")
    chat.set_draft("A")
    assert len(loads(stage)) == 2


def test_a_model_that_does_not_load_early_says_nothing(
    stage: Stage, chat: ChatViewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(name: str) -> None:
        raise Unavailable(f"{name} does not load.")

    monkeypatch.setattr(stage.legion.models, "load", refused)
    chat.set_draft("H")
    assert stage.refusals == []
