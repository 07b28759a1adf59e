"""Seeing what curation does to a chat: the meter, the six strategies, what the model will see, and taking it back."""

import msgspec
import pytest
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton, QWidget

from app.views.chat.curation_panel import CurationPanel
from app.views.chat.seen_dialog import SeenDialog
from app.widgets.switch import Switch
from legion_core.api.types import CurationChanged, CurationEdit, CurationMeter, SeenPart, StrategyCount
from tests.gui.conftest import Person

PARTS = (
    SeenPart(message_id="m0", role="user", before="Fix it.", after="Fix it.", state="same"),
    SeenPart(message_id="m1", role="assistant", before="Let me think.", after="", state="gone"),
    SeenPart(message_id="m2", role="tool", before="a line\n" * 2_000, after="#2 read a.py", state="changed"),
)


def told(person: Person, place: str) -> None:
    curation = person.legion.curation
    curation.parts = PARTS
    curation.made = (
        CurationEdit(
            number=1, epoch=1, strategy="strip_thinking", ids=("m1",), tokens=6400, note="", archive_key="#1"
        ),
        CurationEdit(
            number=2, epoch=1, strategy="dedup_similar", ids=("m2",), tokens=1, note="", archive_key="#2", is_undone=True
        ),
    )  # fmt: skip
    person.legion.chat.system_tokens, person.legion.chat.history_tokens = 1_200, 38_000
    counts = (StrategyCount(strategy="strip_thinking", edits=5, tokens=6400),)
    curation.told[place] = CurationMeter(
        conversation_id=place,
        is_on=True,
        naive_tokens=41_200,
        curated_tokens=11_100,
        epoch=1,
        by_strategy=counts,
    )
    at_utc, at_mono_s = person.legion.events.stamp()
    person.legion.events.publish(
        CurationChanged(
            at_utc=at_utc,
            at_mono_s=at_mono_s,
            conversation_id=place,
            naive_tokens=41_200,
            curated_tokens=11_100,
        )
    )
    person.settle()


def opened(person: Person) -> str:
    place = person.legion.chat.add("Importer", "Fix it.", "Done.")
    person.window.chat_page.open(place)
    person.settle()
    return place


def button(person: Person, name: str) -> QPushButton:
    found = person.find(name)
    assert isinstance(found, QPushButton)
    return found


def words(widget: QWidget) -> str:
    return "\n".join(each.text() for each in widget.findChildren(QLabel) if each.isVisible())


def test_while_the_parts_are_being_compared_nobody_says_that_all_is_sent(person: Person) -> None:
    place = opened(person)
    button(person, "curation.open").click()
    person.settle()
    panel = person.find("curation")
    assert "Everything, word for word." in words(panel)
    told(person, place)
    person.legion.curation.parts = ()
    person.press("Ctrl+N")
    person.window.chat_page.open(place)
    person.settle()
    assert "Being compared…" in words(panel)


@pytest.mark.parametrize(("history", "is_made"), [(400, False), (38_000, True)])
def test_a_long_chat_that_was_never_sent_is_curated_when_it_is_opened(
    person: Person, history: int, *, is_made: bool
) -> None:
    person.legion.chat.history_tokens = history
    place = opened(person)
    assert (("prepare", place) in person.legion.curation.calls) is is_made
    person.services.chat.reload()
    person.settle()
    assert person.legion.curation.calls.count(("prepare", place)) == is_made


@pytest.mark.requirement("curation.seen")
def test_a_chat_of_one_turn_honestly_has_nothing_to_curate(person: Person) -> None:
    assert person.window.findChild(QWidget, "curation.meter") is None, "a new chat costs nothing"
    opened(person)

    assert person.find("curation.meter").isVisible()
    assert button(person, "curation.open").text() == "Nothing to curate"
    # The model counted it: the meter says what the strip says.
    assert person.find("curation.legend").accessibleName() == "Newest turn 62 tokens"
    assert person.find("curation.bar").accessibleDescription().startswith("62 tokens are sent")
    assert person.services.status.words.context.startswith("Context 62")
    button(person, "curation.open").click()
    person.settle()
    panel = person.find("curation")
    assert "Everything, word for word." in words(panel)
    assert words(panel).count("not needed here") == 6


@pytest.mark.requirement("curation.seen")
def test_the_meter_leads_to_what_was_done_and_what_the_model_will_see(person: Person) -> None:
    place = opened(person)
    told(person, place)
    assert button(person, "curation.open").text() == "Curated 73 %, 41.2k to 11.1k"

    person.services.commands.run("chat.curation")
    person.settle()

    said = words(person.find("curation"))
    assert "5 earlier answers" in said
    assert "−6.4k" in said
    assert "#2 read a.py" in said
    assert "Answer, left out" in said

    button(person, "curation.full").click()
    person.settle()
    dialog = next(each for each in person.window.findChildren(SeenDialog))
    shown = dialog.findChildren(QPlainTextEdit)[0].toPlainText()
    assert shown.startswith("You\nFix it.\n\nAnswer, left out\n− Let me think.")
    assert "\n+ #2 read a.py" in shown
    assert shown.count("a line") <= 8
    assert not dialog.keep_button.isEnabled()  # the cursor stands in what is sent as it was said
    dialog.only.click()
    assert dialog.text.toPlainText().startswith("Answer, left out")
    dialog.field.setText("read a.py")
    dialog.field.returnPressed.emit()
    assert dialog.text.textCursor().selectedText() == "read a.py"
    dialog.keep_button.click()
    person.settle()
    assert ("keep", person.services.chat.conversation_id, "m2") in person.legion.curation.calls
    dialog.close()
    person.settle()


@pytest.mark.requirement("curation.seen")
def test_what_was_done_is_taken_back_kept_and_switched_off(person: Person) -> None:
    place = opened(person)
    told(person, place)
    person.services.commands.run("chat.curation")
    person.settle()

    button(person, "curation.undo").click()
    button(person, "curation.keep").click()
    switch = person.find("curation.switch")
    assert isinstance(switch, Switch)
    switch.click()
    person.settle()

    assert person.legion.curation.calls == [
        ("undo", place, 1),
        ("keep", place, "m1"),
        ("set_on", place, False),
    ]
    assert button(person, "curation.open").text() == "Curation is off"


@pytest.mark.requirement("curation.seen")
def test_the_meter_says_what_is_sent_by_where_it_comes_from(person: Person) -> None:
    place = opened(person)
    told(person, place)

    legend = person.find("curation.legend")
    assert legend.accessibleName() == (
        "System about 1,200 tokens, History about 11,088 tokens, Newest turn about 12 tokens"
    )
    assert legend.toolTip() == legend.accessibleName()
    assert (
        person.find("curation.bar")
        .accessibleDescription()
        .startswith("About 12,300 tokens are sent: System 1,200")
    )
    legend.grab()


@pytest.mark.requirement("curation.seen")
def test_one_edit_or_the_whole_last_round_is_taken_back(person: Person) -> None:
    place = opened(person)
    told(person, place)
    curation = person.legion.curation
    more = [
        CurationEdit(number=n, epoch=2, strategy="distill_tool_result", ids=(f"m{n}",), tokens=900, note=f"read f{n}.py", archive_key=f"#{n}")
        for n in (3, 4)
    ]  # fmt: skip
    curation.made = (*curation.made, *more)
    person.services.commands.run("chat.curation")
    person.settle()

    panel = person.find("curation")
    rows = [each.accessibleName() for each in panel.findChildren(QWidget, "curation.edit")]
    assert rows[0] == "Distil tool results: read f4.py, −900 tokens"
    assert rows[2].endswith("taken back")
    undo = panel.findChildren(QPushButton, "curation.undoEdit")
    assert [each.accessibleName() for each in undo][:2] == [
        "Undo: Distil tool results: read f4.py",
        "Undo: Distil tool results: read f3.py",
    ]
    undo[1].click()
    person.settle()
    assert button(person, "curation.undoEpoch").text() == "Undo the last 2"
    button(person, "curation.undoEpoch").click()
    person.settle()
    assert curation.calls == [("undo", place, 3), ("undo_epoch", place, 2)]


def test_the_trace_and_curation_share_the_inspector(person: Person) -> None:
    opened(person)
    person.services.commands.run("chat.curation")
    person.settle()
    assert isinstance(person.window.chat_page.inspected.currentWidget(), CurationPanel)

    person.services.commands.run("answer.trace")
    person.settle()
    assert person.window.chat_page.inspected.currentWidget() is person.window.chat_page.trace


def test_another_chat_shows_its_own_figures(person: Person) -> None:
    told(person, opened(person))
    other = person.legion.chat.add("Other", "q", "a")
    person.window.chat_page.open(other)
    person.settle()

    assert button(person, "curation.open").text() == "Nothing to curate"


def test_the_strip_tells_how_much_of_an_imported_chat_goes_with_the_next_question(person: Person) -> None:
    place = person.legion.chat.add("Imported", "Fix it.", "Done.")
    held = person.legion.chat.messages[place]
    held[1] = msgspec.structs.replace(held[1], usage=None, instance="", model="")
    person.window.chat_page.open(place)
    person.settle()
    told(person, place)
    assert person.services.status.words.context == "Context about 12.3k"  # what is kept, and its instructions
    person.services.commands.run("chat.new")
    person.settle()
    assert not person.services.status.words.context.startswith("Context about")
