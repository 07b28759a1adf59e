"""The Schedules page by keyboard and mouse: make one, see when it fires, pause, run, remove and take it back."""

from datetime import timedelta

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLineEdit, QWidget

from app.views.schedules.page import SchedulesPage
from legion_core.api.task_types import Reason, TaskView
from tests.gui.conftest import Person


def schedules_page(person: Person) -> SchedulesPage:
    person.press("Ctrl+5")
    page = person.window.current
    assert isinstance(page, SchedulesPage)
    return page


def previewed(person: Person, page: SchedulesPage) -> None:
    """The pause after typing is over."""
    page.schedules._preview_pause.timeout.emit()
    person.settle()


def names(page: SchedulesPage) -> list[str]:
    return [line.name for line in page.list.lines.rows]


def field(page: SchedulesPage, name: str) -> QLineEdit:
    found = page.findChild(QWidget, name)
    assert isinstance(found, QLineEdit)
    return found


def test_the_list_tells_when_and_how_it_went(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *")
    held.put("tide-check", every_s=600.0)
    held.fired("nightly-backup", minutes_ago=700, task="task_1")
    now = person.legion.clock.now
    person.legion.tasks.views["task_1"] = TaskView(
        id="task_1", task="log.message.write", status="failed", legacy_status="", started_at=now, ended_at=now + timedelta(seconds=41),
        reason=Reason(code="task.raised", sentence="The disk is full."),
    )  # fmt: skip
    page = schedules_page(person)
    assert person.focused.objectName() == "schedules.list"
    first, second = page.list.lines.rows
    assert (first.name, first.when, first.rule, first.took) == (
        "nightly-backup",
        "Every day at 01:30",
        "30 1 * * *",
        "41.0 s",
    )
    assert first.pill is not None
    assert first.pill[0] == "Failed"
    assert first.next == "in 11 h"
    assert (second.when, second.rule, second.pill) == ("Every 10 minutes", "every 10 min", None)
    assert page.count.words().startswith("2 schedules, next in")
    page.show_lower("history")
    assert "The disk is full." in page.history.lines.rows[0].spoken
    person.press("Down")
    assert page.panel.title.words() == "tide-check"


def test_the_form_shows_the_next_times_and_what_the_clocks_do(person: Person) -> None:
    person.legion.schedules.put("nightly-backup", cron="30 1 * * *", zone="Europe/Lisbon")
    page = schedules_page(person)
    previewed(person, page)
    assert page.panel.form.meaning.text() == "Every day at 01:30"
    assert page.panel.next.accessibleName().count("00:30 UTC") == 10  # summer time in June
    assert "comes twice in Lisbon" in page.panel.note.words.text()
    assert page.panel.foot.isHidden()


def test_a_new_schedule_is_made_with_the_keyboard_alone(person: Person) -> None:
    page = schedules_page(person)
    assert page.empty.isVisible()
    assert person.focused is page.empty.new_button
    person.press("Return")
    assert person.focused.objectName() == "schedules.name"
    assert not page.panel.save_button.isEnabled()
    person.type("morning-look")
    person.press("Tab")
    assert person.focused.objectName() == "schedules.target"
    person.type("http.request.get")
    person.press("Tab")
    person.press("Shift+Tab")
    assert page.panel.form.target.key == "http.request.get"
    url = field(page, "schedules.arg.url")
    url.setFocus()
    person.type("https://example.org/")
    page.panel.form.how.step(Qt.Key.Key_End)
    words = field(page, "schedules.words")
    words.setFocus()
    person.type("every weekday at 9:15")
    previewed(person, page)
    assert page.panel.form.meaning.text() == "Every weekday at 09:15, which is 15 9 * * 1-5"
    assert page.panel.save_button.isEnabled()
    person.press("Ctrl+Return")
    spec = next(call[1] for call in person.legion.schedules.calls if call[0] == "add")
    assert (spec.name, spec.target, spec.cron, dict(spec.args)) == (
        "morning-look", "http.request.get", "15 9 * * 1-5", {"url": "https://example.org/"},
    )  # fmt: skip
    assert names(page) == ["morning-look"]
    assert page.panel.title.words() == "morning-look"
    assert not page.panel.is_new


def test_a_fault_of_the_expression_is_shown_while_it_is_typed(person: Person) -> None:
    person.legion.schedules.put("nightly-backup", cron="30 1 * * *")
    page = schedules_page(person)
    page.panel.form.cron.setFocus()
    page.panel.form.cron.selectAll()
    person.type("99 1 * * *")
    previewed(person, page)
    assert "minute" in page.panel.form.meaning.text()
    assert page.panel.form.meaning.property("tone") == "error"
    assert not page.panel.save_button.isEnabled()
    person.qtbot.mouseClick(page.panel.discard_button, Qt.MouseButton.LeftButton)
    previewed(person, page)
    assert page.panel.form.cron.text() == "30 1 * * *"
    assert page.panel.foot.isHidden()


def test_a_change_is_saved_and_a_refusal_is_said_beside_the_button(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *")
    page = schedules_page(person)
    page.panel.form.cron.setFocus()
    page.panel.form.cron.selectAll()
    person.type("45 2 * * *")
    previewed(person, page)
    person.qtbot.mouseClick(page.panel.save_button, Qt.MouseButton.LeftButton)
    person.settle()
    assert held.held["nightly-backup"].cron == "45 2 * * *"
    page.begin()
    page.panel.form.name.setText("nightly-backup")
    page.panel.form._pick_target("log.message.write")
    page.panel.form.target.choose("log.message.write")
    page.panel._touched()
    page.panel.save()
    assert "already" in page.panel.fault.text()
    assert page.panel.form.name.property("error")
    assert page.panel.is_new
    person.press("Escape")
    assert not page.panel.is_new


def test_an_argument_that_does_not_fit_is_marked(person: Person) -> None:
    page = schedules_page(person)
    page.begin()
    page.panel.form.name.setText("look")
    page.panel.form.target.choose("http.request.get")
    page.panel.form._pick_target("http.request.get")
    page.panel.save()
    assert page.panel.fault.text() == "url is needed."
    assert field(page, "schedules.arg.url").property("error")
    assert not [call for call in person.legion.schedules.calls if call[0] == "add"]


def test_space_pauses_and_a_click_on_the_switch_resumes(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *")
    page = schedules_page(person)
    person.press("Space")
    assert held.held["nightly-backup"].state == "paused"
    assert page.list.lines.rows[0].next == "paused"
    assert not page.panel.switch.isChecked()
    person.qtbot.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(28, 22))
    person.settle()
    assert held.held["nightly-backup"].state == "active"
    page.panel.switch.click()
    assert held.held["nightly-backup"].state == "paused"


def test_delete_removes_and_undo_brings_it_back_as_it_was(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *", args={"message": "x"})
    page = schedules_page(person)
    person.press("Space")
    person.press("Delete")
    assert names(page) == []
    assert page.empty.isVisible()
    row = next(iter(call for call in held.calls if call[0] == "remove"))
    assert row == ("remove", "nightly-backup")
    undo = person.window.notices.toast.findChild(QWidget, "toast.undo")
    assert undo is not None
    person.qtbot.mouseClick(undo, Qt.MouseButton.LeftButton)
    person.settle()
    assert names(page) == ["nightly-backup"]
    assert held.held["nightly-backup"].state == "paused"
    assert held.held["nightly-backup"].args == {"message": "x"}


def test_run_now_by_key_and_by_button(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *")
    page = schedules_page(person)
    person.press("F5")
    person.qtbot.mouseClick(page.panel.run_button, Qt.MouseButton.LeftButton)
    assert [call for call in held.calls if call[0] == "run_now"] == [("run_now", "nightly-backup")] * 2


def test_what_fires_elsewhere_appears_by_itself(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *")
    page = schedules_page(person)
    held.fired(
        "nightly-backup", minutes_ago=1, status="skipped", count=3,
        reason=Reason(code="schedule.missed", sentence="It was due while the engine was not running."),
    )  # fmt: skip
    person.settle()
    page.schedules._pause.timeout.emit()
    person.settle()
    assert page.list.lines.rows[0].pill == ("Missed 3", "warn", "triangle-alert")


def test_what_is_being_written_is_not_lost_when_the_list_changes(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *")
    page = schedules_page(person)
    page.panel.form.cron.setFocus()
    page.panel.form.cron.selectAll()
    person.type("5 5 * * *")
    held.put("other", cron="0 0 * * *")
    page.schedules.refresh()
    person.settle()
    assert names(page) == ["nightly-backup", "other"]
    assert page.panel.form.cron.text() == "5 5 * * *"


def test_the_week_shows_past_and_coming_and_leads_to_a_schedule(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *")
    held.put("tide-check", cron="*/10 * * * *")
    held.fired("nightly-backup", minutes_ago=756)
    page = schedules_page(person)
    said = page.calendar.accessibleDescription()
    assert "Wednesday: 01:30 nightly-backup OK" in said
    assert "Thursday: 01:30 nightly-backup to come" in said
    assert "Not drawn: tide-check, 144 a day." in page.lower_words.words()
    person.press("Down")
    assert page.schedules.selected == "tide-check"
    box = page.calendar._box(3, page.schedules.week.days[3][0])
    person.qtbot.mouseClick(page.calendar, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    assert page.schedules.selected == "nightly-backup"
    person.qtbot.mouseClick(page.forth, Qt.MouseButton.LeftButton)
    assert page.lower_title.text() == "Week"
    person.qtbot.mouseClick(page.today, Qt.MouseButton.LeftButton)
    assert page.lower_title.text() == "This week"


def test_a_run_leads_to_its_task(person: Person) -> None:
    held = person.legion.schedules
    held.put("nightly-backup", cron="30 1 * * *")
    task = person.legion.activity.add_task("log.message.write")
    held.fired("nightly-backup", minutes_ago=5, task=task)
    page = schedules_page(person)
    page.run("history")
    page.history.setFocus()
    person.press("Down")
    person.press("Return")
    assert person.window.page == "activity"


def test_the_example_fills_the_form(person: Person) -> None:
    page = schedules_page(person)
    person.qtbot.mouseClick(page.empty.example_button, Qt.MouseButton.LeftButton)
    assert page.panel.form.draft.target == "log.message.write"
    previewed(person, page)
    assert page.panel.save_button.isEnabled()
    person.qtbot.mouseClick(page.panel.save_button, Qt.MouseButton.LeftButton)
    person.settle()
    assert names(page) == ["good-morning"]


def test_times_are_shown_in_utc_on_demand(person: Person) -> None:
    person.legion.schedules.put("nightly-backup", cron="30 1 * * *")
    page = schedules_page(person)
    page.zones.step(Qt.Key.Key_Right)
    assert page.schedules.is_utc
    assert page.list.lines.rows[0].next_at.endswith("01:30")


def test_duplicate_begins_a_new_one_under_a_free_name(person: Person) -> None:
    person.legion.schedules.put("nightly-backup", cron="30 1 * * *", args={"message": "x"})
    page = schedules_page(person)
    page.panel.duplicate()
    draft = page.panel.form.draft
    assert (draft.name, draft.cron, dict(draft.args)) == ("nightly-backup-2", "30 1 * * *", {"message": "x"})


def test_the_time_to_the_next_run_moves_while_the_page_is_seen_and_no_timer_runs_else(person: Person) -> None:
    person.legion.schedules.put("nightly-backup", cron="30 1 * * *")
    page = schedules_page(person)
    before = page.list.lines.rows[0].next
    assert page._minute.isActive()
    person.legion.clock.now += timedelta(hours=2)
    page._minute.timeout.emit()
    assert before == "in 11 h"
    assert page.list.lines.rows[0].next == "in 9 h"
    person.press("Ctrl+1")
    assert not page._minute.isActive()
