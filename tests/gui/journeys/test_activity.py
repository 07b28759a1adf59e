"""The Activity page by keyboard and mouse: find what failed, see why, follow without losing one's place."""

import csv
import json
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton

from app.viewmodels.activity_export import text_of, write
from app.views.activity.page import ActivityPage
from legion_core.api.activity_types import ActivityRow
from tests.gui.conftest import Person
from tests.support.aio import run


def activity_page(person: Person) -> ActivityPage:
    person.press("Ctrl+0")
    page = person.window.current
    assert isinstance(page, ActivityPage)
    return page


def titles(page: ActivityPage) -> list[str]:
    model = page.table.rows
    for at in range(model.rowCount()):
        model.data(model.index(at, 0))  # looked at, so it is read
    return [str(model.data(model.index(at, 0))).split(",")[0] for at in range(model.rowCount())]


def news(person: Person, page: ActivityPage) -> None:
    """The pause after which news is read is over."""
    person.settle()
    page.activity._pause.timeout.emit()
    person.settle()


def test_the_newest_stands_on_top_and_the_inspector_follows_the_arrows(person: Person) -> None:
    held = person.legion.activity
    held.add_task("http.request.get", "failed", reason="No such host.")
    held.add_task("log.message.write")
    page = activity_page(person)
    assert titles(page) == ["log.message.write", "http.request.get"]
    assert person.focused.objectName() == "activity.table"
    assert page.panel.reason.isHidden()
    person.press("Down")
    assert page.panel.reason.text() == "No such host."
    assert "Waited 1.0 s, then ran 2.0 s." in page.panel.slow.text()
    assert page.panel.retry_button.isVisible()
    assert "Waits: 1.0 s; Runs: 2.0 s, failed" in page.panel.fall.accessibleName()
    assert "https://example.org/" in page.panel.args.field.toPlainText()


def test_a_failed_task_is_tried_again_by_its_button(person: Person) -> None:
    task = person.legion.activity.add_task("http.request.get", "failed", reason="No such host.")
    page = activity_page(person)
    person.qtbot.mouseClick(page.panel.retry_button, Qt.MouseButton.LeftButton)
    person.settle()
    assert person.legion.tasks.calls == [("retry", task)]
    assert (
        "http.request.get" in person.window.notices.toast.accessibleName()
        or person.window.notices.toast.isVisible()
    )


def test_a_waiting_task_can_be_cancelled_and_an_ended_one_not(person: Person) -> None:
    held = person.legion.activity
    held.add_task("a.b.done")
    task = held.add_task("a.b.waits", "queued")
    page = activity_page(person)
    assert page.panel.cancel_button.isVisible()
    assert page.panel.retry_button.isHidden()
    page.details.cancel()
    assert person.legion.tasks.calls == [("cancel", task)]
    person.press("Down")
    assert page.panel.cancel_button.isHidden()


def test_typing_a_token_makes_a_chip_and_narrows(person: Person) -> None:
    held = person.legion.activity
    held.add_task("a.b.good")
    held.add_task("a.b.bad", "failed", reason="Broken.")
    page = activity_page(person)
    person.press("Ctrl+F")
    assert person.focused.objectName() == "activity.filter"
    person.type("status:failed ")
    assert page.filters.field.chips() == ("status:failed",)
    assert page.filters.field.line.text() == ""
    assert titles(page) == ["a.b.bad"]
    assert page.filters.states.text().strip() == "Failed"
    person.press("Backspace")
    assert page.filters.field.chips() == ()
    assert page.filters.field.line.text() == "status:failed"
    assert len(titles(page)) == 2


def test_words_narrow_after_a_pause_and_down_leads_to_the_list(person: Person) -> None:
    held = person.legion.activity
    held.add_task("a.b.good")
    held.add_task("c.d.other")
    page = activity_page(person)
    person.press("Ctrl+F")
    person.type("good")
    page.filters._pause.timeout.emit()
    assert titles(page) == ["a.b.good"]
    person.press("Down")
    assert person.focused.objectName() == "activity.table"
    person.press("Up")
    assert person.focused.objectName() == "activity.filter"


def test_a_half_typed_token_narrows_nothing(person: Person) -> None:
    person.legion.activity.add_task("a.b.good")
    page = activity_page(person)
    person.press("Ctrl+F")
    person.type("status:fai")
    page.filters._pause.timeout.emit()
    assert titles(page) == ["a.b.good"]
    assert page.filters.field.line.text() == "status:fai"


def test_enter_takes_a_token_without_a_blank(person: Person) -> None:
    person.legion.activity.add_task("a.b.good")
    page = activity_page(person)
    person.press("Ctrl+F")
    person.type("kind:request")
    person.press("Return")
    assert page.filters.field.chips() == ("kind:request",)
    assert page.empty.isVisible()
    assert page.filters.kinds.choice == "request"
    person.qtbot.mouseClick(page.empty.clear_button, Qt.MouseButton.LeftButton)
    assert titles(page) == ["a.b.good"]


def test_menus_and_segments_write_the_same_filter(person: Person) -> None:
    held = person.legion.activity
    held.add_task("a.b.good")
    held.add_request("Museum labels")
    page = activity_page(person)
    person.qtbot.mouseClick(
        page.filters.kinds.findChild(QPushButton, "segment.request"), Qt.MouseButton.LeftButton
    )
    assert page.filters.field.chips() == ("kind:request",)
    assert titles(page) == ["Museum labels"]
    page.filters._state("failed")
    page.filters._since("today")
    assert page.activity.filter.text == "kind:request status:failed since:today"
    page.filters.show_view("all")
    assert len(titles(page)) == 2


def test_a_request_shows_its_attempts_and_leads_to_its_chat(person: Person) -> None:
    cid = person.legion.chat.add("Museum labels", "question", "answer")
    request = person.legion.activity.add_request("Museum labels", tier="cloud", usd=0.0112)
    key = f"r{request}"
    held = person.legion.activity.held
    held[key] = msgspec.structs.replace(held[key], conversation=cid)
    page = activity_page(person)
    assert "first" in page.panel.fall.accessibleName()
    assert "busy" in page.panel.fall.accessibleName()
    assert "$0.01" in page.panel.figures.accessibleName()
    person.qtbot.mouseClick(page.panel.chat_button, Qt.MouseButton.LeftButton)
    person.settle()
    assert person.window.page == "chat"
    assert person.services.chat.conversation_id == cid


def test_what_happens_appears_on_top_while_the_reader_is_there(person: Person) -> None:
    held = person.legion.activity
    first = held.add_task("a.b.first", "queued")
    page = activity_page(person)
    held.add_task("a.b.second", is_told=True)
    news(person, page)
    assert titles(page) == ["a.b.second", "a.b.first"]
    assert page.activity.current is not None
    assert page.activity.current.id == first  # what is looked at stays
    assert page.table.currentIndex().row() == 1
    held.becomes(first, "failed", "It broke.")
    news(person, page)
    page.details._pause.timeout.emit()
    assert page.panel.reason.text() == "It broke."


def test_nothing_moves_under_a_reader_who_scrolled_away(person: Person) -> None:
    held = person.legion.activity
    for number in range(200):
        held.add_task(f"a.b.n{number}")
    page = activity_page(person)
    bar = page.table.verticalScrollBar()
    bar.setValue(900)
    seen = page.table.rowAt(5)
    before = titles(page)[seen]
    held.add_task("a.b.new", is_told=True)
    held.add_task("a.b.newer", is_told=True)
    news(person, page)
    assert bar.value() == 900
    assert titles(page)[page.table.rowAt(5)] == before
    assert page.pending_button.isVisible()
    assert page.pending_button.text() == "2 new"
    person.qtbot.mouseClick(page.pending_button, Qt.MouseButton.LeftButton)
    person.settle()
    assert bar.value() == 0
    assert titles(page)[:2] == ["a.b.newer", "a.b.new"]
    assert page.pending_button.isHidden()


def test_under_a_filter_for_states_an_old_line_comes_and_goes(person: Person) -> None:
    held = person.legion.activity
    task = held.add_task("a.b.old", "queued")
    page = activity_page(person)
    page.run("failed")
    assert titles(page) == []
    held.becomes(task, "failed", "It broke.")
    news(person, page)
    assert titles(page) == ["a.b.old"]


def test_paused_the_list_stands_still_until_it_goes_on(person: Person) -> None:
    held = person.legion.activity
    held.add_task("a.b.first")
    page = activity_page(person)
    person.qtbot.mouseClick(page.live_button, Qt.MouseButton.LeftButton)
    assert page.live_button.text() == "Paused"
    held.add_task("a.b.second", is_told=True)
    news(person, page)
    assert titles(page) == ["a.b.first"]
    person.qtbot.mouseClick(page.live_button, Qt.MouseButton.LeftButton)
    person.settle()
    assert titles(page) == ["a.b.second", "a.b.first"]


def test_a_hidden_page_reads_nothing(person: Person) -> None:
    held = person.legion.activity
    page = activity_page(person)
    person.press("Ctrl+1")
    asked = len(held.queries)
    held.add_task("a.b.first", is_told=True)
    news(person, page)
    assert len(held.queries) == asked
    person.press("Ctrl+0")
    person.settle()
    assert titles(page) == ["a.b.first"]


def test_of_a_long_list_only_what_is_looked_at_is_read(person: Person) -> None:
    held = person.legion.activity
    for number in range(3000):
        held.add_task(f"a.b.n{number}")
    page = activity_page(person)
    assert page.table.rows.rowCount() == 3000
    assert sum(len(keys) for keys in held.read) < 500
    person.press("End")
    person.settle()
    assert page.activity.current is not None
    assert page.activity.current.task == "a.b.n0"
    assert sum(len(keys) for keys in held.read) < 1000
    person.press("Home")
    assert page.table.currentIndex().row() == 0


def test_the_hops_of_a_run_are_drawn_and_lead_to_each_other(person: Person) -> None:
    held = person.legion.activity
    held.add_task("http.request.get", run="run_1", node="get")
    held.add_task("log.message.write", run="run_1", node="tell")
    held.add_task("a.b.other")
    page = activity_page(person)
    person.press("Down")
    said = page.panel.run_fall.accessibleName()
    assert "get: " in said
    assert "tell: " in said
    person.qtbot.mouseClick(page.panel.run_fall, Qt.MouseButton.LeftButton, pos=QPoint(30, 8))
    person.settle()
    assert page.activity.current is not None
    assert page.activity.current.node == "get"
    person.qtbot.mouseClick(page.panel.run_button, Qt.MouseButton.LeftButton)
    assert page.activity.filter.text == "run:run_1"
    assert len(titles(page)) == 2


def test_an_empty_list_says_what_will_stand_there(person: Person) -> None:
    page = activity_page(person)
    assert page.empty.isVisible()
    assert page.table.isHidden()
    assert not page.export_button.isEnabled()
    assert page.empty.start_button.isVisible()
    # Not what comes next in the order of tabs, which closes the inspector.
    assert person.focused is page.filters.field.line


def test_the_figures_are_told_in_words(person: Person) -> None:
    held = person.legion.activity
    held.add_task("a.b.bad", "failed", reason="x")
    held.add_request("Free")
    held.add_request("Paid", tier="cloud", usd=0.25)
    page = activity_page(person)
    said = [figure.accessibleName() for figure in page.figures]
    assert said == [
        "Spent, last 24 hours: $0.25 for 2 requests",
        "Answered on this computer: 50 % 1 of 2 requests",
        "Left out by curation: 0 no long chat",
        "Tasks, last 24 hours: 1 1 failed",
    ]


def test_the_raw_record_is_shown_and_copied(person: Person) -> None:
    person.legion.activity.add_task("a.b.good")
    page = activity_page(person)
    person.qtbot.mouseClick(page.panel.json_button, Qt.MouseButton.LeftButton)
    assert json.loads(page.panel.raw.field.toPlainText())["task"] == "a.b.good"
    person.qtbot.mouseClick(page.panel.id_button, Qt.MouseButton.LeftButton)
    page.panel._copy_id()
    assert QApplication.clipboard().text() == "task_0001"


def test_export_asks_for_a_file(person: Person) -> None:
    person.legion.activity.add_task("a.b.good")
    page = activity_page(person)
    page.export()
    dialog = page.findChild(QFileDialog, "activity.exportDialog")
    assert isinstance(dialog, QFileDialog)
    assert dialog.acceptMode() == QFileDialog.AcceptMode.AcceptSave
    dialog.reject()


def test_the_file_holds_every_line_in_order(person: Person, tmp_path: Path) -> None:
    held = person.legion.activity
    for number in range(2500):
        held.add_task(f"a.b.n{number}")
    keys = list(held.held)[::-1]
    path = tmp_path / "out.csv"
    assert run(write(person.legion, keys, path, "csv")) == 2500
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [rows[0]["task"], rows[-1]["task"], len(rows)] == ["a.b.n2499", "a.b.n0", 2500]
    assert run(write(person.legion, keys[:2], path, "jsonl")) == 2
    assert [json.loads(line)["task"] for line in path.read_text(encoding="utf-8").splitlines()] == [
        "a.b.n2499",
        "a.b.n2498",
    ]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["=1+1", "@cmd", "+x", "-x", "\tx"])
def test_a_spreadsheet_is_given_no_formulas(person: Person, text: str) -> None:
    person.legion.activity.add_task(text)
    rows: tuple[ActivityRow, ...] = tuple(person.legion.activity.held.values())
    cells = next(iter(csv.DictReader(text_of(rows, "csv").splitlines())))
    assert cells["task"] == f"'{text}"
