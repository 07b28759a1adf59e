from app.viewmodels.chat import ChatViewModel
from app.viewmodels.live import Live
from app.viewmodels.status import StatusViewModel
from legion_core.api.types import AnswerGrew, AnswerJoined, AnswerOpened, Seam
from tests.gui.conftest import Stage


def live(**fields: object) -> Live:
    values: dict[str, object] = {
        "tier": "local",
        "instance": "local",
        "model": "smollm2",
        "first_s": 10.0,
        "last_s": 10.0,
    }
    return Live(**{**values, **fields})  # type: ignore[arg-type]


def test_at_the_first_byte_it_says_from_where() -> None:
    assert live().words == "local · smollm2"
    assert live(tier="fleet", instance="gpu-2").words == "fleet · gpu-2 smollm2"


def test_counted_tokens_and_their_speed() -> None:
    grown = live().grown(10, 3, 11.0).grown(10, 8, 12.0)
    assert grown.words == "local · smollm2 · 11 tok · 5.0 tok/s"


def test_where_nothing_is_counted_it_is_an_estimate_and_said_so() -> None:
    assert live().grown(400, 0, 12.0).words == "local · smollm2 · about 100 tok · 50 tok/s"


def test_figures_change_a_few_times_a_second_and_not_with_every_piece(stage: Stage) -> None:
    chat = ChatViewModel(stage.bridge, stage.now)
    stage.connect()
    chat.send("Hello")
    running = chat.running
    assert running is not None
    told: list[str] = []
    chat.live_changed.connect(lambda _id, found: told.append(found.words))
    at_utc, _ = stage.legion.events.stamp()
    mine = {"conversation_id": chat.conversation_id, "answer_id": running.id, "at_utc": at_utc}
    facts = [AnswerOpened(tier="local", instance="local", model="m", at_mono_s=100.0, **mine)]  # type: ignore[arg-type]
    grown = [
        AnswerGrew(at_char=4 * at, text="word", tokens=1, at_mono_s=100.0 + at / 100, **mine)  # type: ignore[arg-type]
        for at in range(100)
    ]
    stage.bridge.deliver([*facts, *grown])
    assert len(told) == 4
    assert told[0] == "local · m"
    assert told[-1].startswith("local · m · 76 tok")


def test_the_strip_shows_what_runs_now_and_goes_back(stage: Stage) -> None:
    status = StatusViewModel(stage.bridge)
    stage.connect()
    status.show_live(live())
    assert (status.words.model, status.words.speed, status.words.context) == ("smollm2", "answering", "")
    status.show_live(live().grown(40, 11, 12.0))
    assert status.words.speed == "5.0 tok/s"
    cid = stage.legion.chat.add("Chat", "q", "a")
    stage.legion.chat.end(stage.legion.chat.messages[cid][1].id)
    stage.deliver()
    assert status.words.model == "smollm2-135m-instruct"
    assert status.words.speed == "idle"


def test_after_a_seam_it_says_who_goes_on(stage: Stage) -> None:
    chat = ChatViewModel(stage.bridge, stage.now)
    stage.connect()
    chat.send("Hello")
    running = chat.running
    assert running is not None
    told: list[str] = []
    chat.live_changed.connect(lambda _id, found: told.append(found.words))
    at_utc, _ = stage.legion.events.stamp()
    mine = {"conversation_id": chat.conversation_id, "answer_id": running.id, "at_utc": at_utc}
    seam = Seam(
        at_char=4, from_lane="box-a/m", to_lane="gpu-2/org/big", to_tier="fleet", after_tokens=1, reason="r"
    )
    for fact in (
        AnswerOpened(tier="direct", instance="box-a", model="m", at_mono_s=100.0, **mine),  # type: ignore[arg-type]
        AnswerGrew(at_char=0, text="word", tokens=2, at_mono_s=100.1, **mine),  # type: ignore[arg-type]
        AnswerJoined(seam=seam, at_mono_s=100.2, **mine),  # type: ignore[arg-type]
    ):
        stage.legion.events.publish(fact)
    stage.deliver()
    assert told[0] == "direct · box-a m"
    assert told[-1].startswith("fleet · gpu-2 org/big · 2 tok")
