"""The Chains page as a person uses it: with a keyboard alone, and with a mouse where there is one."""

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMenu, QPushButton, QWidget

from app.viewmodels.chain_draft import Draft
from app.viewmodels.chain_text import text_of
from app.views.chains.page import ChainsPage
from legion_core.engine.chain_document import parsed
from legion_core.engine.yaml_text import read
from tests.gui.conftest import Person
from tests.gui.fake_chains import FakeChains, RealFunctions

TWO = """\
name: fetch-and-tell
nodes:
  # first of all
  get: {task: http.request.get, args: {url: "{{ input.url }}"}}
  tell: {task: log.message.write, args: {message: "{{ result.body }}"}}
edges:
  - {from: get, to: tell, when: {all: [{fact: result.status, operator: equal, value: 200}]}}
"""


@pytest.fixture
def legion(person: Person) -> Any:
    held: Any = person.legion
    held.chains = FakeChains(held.events, lambda: held.clock.now)
    held.extensions = RealFunctions()
    return held


@pytest.fixture
def page(person: Person, legion: Any) -> ChainsPage:
    legion.chains.texts["fetch-and-tell"] = [TWO]
    legion.chains.results["get"] = {"status": 200, "body": "hello"}
    return open_page(person)


def open_page(person: Person) -> ChainsPage:
    person.press("Ctrl+4")
    found = person.window.current
    assert isinstance(found, ChainsPage)
    settle(person, found)
    return found


def settle(person: Person, page: ChainsPage) -> None:
    """Whatever waits for a pause is done now."""
    person.settle()
    for timer in (page.chains._again, page.editor._checks, page.editor.runs._again, page.text._pause):
        if timer.isActive():
            timer.stop()
            timer.timeout.emit()
    person.settle()


def edges(page: ChainsPage) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in page.editor.draft.edges]


def names(page: ChainsPage) -> list[str]:
    return [node.name for node in page.editor.draft.nodes]


def words_of(page: ChainsPage, key: str) -> str:
    at = page.list.rows.place_of(key)
    assert at >= 0, [entry.key for entry in page.list.rows.rows]
    return page.list.rows.rows[at].spoken


# Beginning


def test_before_there_is_a_chain_two_examples_are_offered_and_run_at_once(
    person: Person, legion: Any
) -> None:
    page = open_page(person)
    assert page.body.currentWidget() is page.empty
    assert not page.is_inspector_shown
    assert person.focused is page.empty.buttons[0]
    person.press("Space")
    settle(person, page)
    assert page.body.currentWidget() is page.parts
    assert page.editor.name == "shopping-list"
    assert ("run", "shopping-list", page.editor.runs.input, False, {}) in legion.chains.calls
    assert page.editor.runs.run is not None
    assert page.timeline.isVisible()
    assert words_of(page, "chain:shopping-list") == "shopping-list, done"


def test_both_examples_are_sound_and_need_no_network(person: Person) -> None:
    from app.viewmodels.chain_examples import EXAMPLES

    assert len(EXAMPLES) == 2
    for example in EXAMPLES:
        chain = parsed(example.text)
        assert chain.name == example.name
        assert {node.task.partition(".")[0] for node in chain.nodes} <= {"file", "log", "llm"}


def test_a_whole_chain_is_made_run_and_saved_without_a_mouse(person: Person, legion: Any) -> None:
    page = open_page(person)
    person.press("Ctrl+Shift+N")
    assert person.focused.objectName() == "chains.picker.field"
    person.type("request get")
    person.press("Return")
    assert names(page) == ["get"]
    assert person.focused.objectName() == "chains.arg.url"
    person.type("{{ input.url }}")
    page.graph.view.setFocus(Qt.FocusReason.TabFocusReason)
    person.press("A")
    person.type("log message")
    person.press("Return")
    assert names(page) == ["get", "log"]
    assert edges(page) == [("get", "log")]
    page.graph.view.setFocus(Qt.FocusReason.TabFocusReason)
    person.press("E")
    assert page.editor.edges == (0,)
    person.press("Return")
    assert page.inside.panels.currentIndex() == 2
    page.inside.edge.condition.add_rule.click()
    person.type("result.status")
    page.inside.edge.condition.operator.setCurrentIndex(page.inside.edge.condition.operator.findData("equal"))
    page.inside.edge.condition.operator.activated.emit(0)
    page.inside.edge.condition.value.setFocus()
    person.type("200")
    when = page.editor.draft.edges[0].when
    assert when == {"all": [{"fact": "result.status", "operator": "equal", "value": 200}]}
    settle(person, page)
    assert page.editor.faults == ()
    person.press("Ctrl+S")
    settle(person, page)
    assert page.editor.is_saved
    assert parsed(legion.chains.texts["new-chain"][-1]).edges[0].when == when
    person.press("Ctrl+Return")
    settle(person, page)
    assert legion.chains.calls[-1][:2] == ("run", "new-chain")


# Undo


def test_every_act_is_taken_back_one_by_one_and_done_again(page: ChainsPage, person: Person) -> None:
    editor = page.editor
    trail: list[Draft] = [editor.draft]

    def did(label: str) -> None:
        assert editor.history.undo_words == label
        assert editor.draft != trail[-1]
        trail.append(editor.draft)

    page.graph.view.setFocus()
    editor.add("log.message.write", (600, 200), "tell")
    did("Add log")
    editor.connect_nodes("get", "log", "failure")
    did("Connect get to log")
    editor.select(("log",))
    person.press("Alt+Right")
    did("Move")
    editor.rename_node("log", "alarm")
    did("Rename log to alarm")
    page.inside.node.form.rows["message"].control.setPlainText("no {{ error }}")  # type: ignore[attr-defined]
    did("Change message of alarm")
    page.graph.run("duplicate")
    did("Paste alarm-2")
    person.press("Delete")
    did("Delete alarm-2")
    editor.select((), (0,))
    page.inside.edge._set_on("always")
    did("Change the outcome from get to tell")
    page.inside.edge.delay.setText("5")
    page.inside.edge.delay.editingFinished.emit()
    did("Change the delay from get to tell")
    page.inside.chain.about.setText("what it is for")
    page.inside.chain.about.editingFinished.emit()
    did("Change the description")
    editor.arrange()
    did("Arrange")
    page.head.ways.choose("text")
    page._show_way("text")
    page.text.field.setPlainText(page.text.field.toPlainText() + "# the end\n")
    settle(person, page)
    did("Edit the text")
    for before in reversed(trail[:-1]):
        editor.undo()
        assert (editor.draft, text_of(editor.draft)) == (before, text_of(before))
    assert text_of(editor.draft) == TWO
    for after in trail[1:]:
        editor.redo()
        assert editor.draft == after


def test_typing_in_one_field_is_one_act(page: ChainsPage, person: Person) -> None:
    page.editor.select(("get",))
    person.settle()
    control = page.inside.node.form.rows["url"].control
    control.setFocus()
    person.type("abc")
    page.editor.undo()
    assert text_of(page.editor.draft) == TWO


# The text twin


def test_the_text_is_the_one_that_was_written_and_graph_acts_leave_the_rest_of_it_alone(
    page: ChainsPage, person: Person
) -> None:
    person.window._run_on("chains", "text")
    assert page.text.field.toPlainText() == TWO
    page.editor.add("log.message.write", (600, 200), "tell")
    lines = page.text.field.toPlainText().splitlines()
    assert set(TWO.splitlines()) <= set(lines)
    assert "  # first of all" in lines
    assert read("\n".join(lines))[0] == page.editor.draft.document()


def test_what_is_written_is_the_graph_and_a_fault_stands_at_its_line(
    page: ChainsPage, person: Person
) -> None:
    person.window._run_on("chains", "text")
    field = page.text.field
    field.setPlainText(TWO.replace("equal", "eqal").replace("get, to: tell", "get, to: tell, on: always"))
    settle(person, page)
    assert page.editor.draft.edges[0].on == "always"
    assert list(field.faults) == [7]
    assert page.text.words.text().startswith(
        "Line 7: edges[0].when.all[0].operator: there is no operator 'eqal'."
    )
    assert not page.head.start.isEnabled()
    assert not page.head.save.isEnabled()
    field.setPlainText("name: [unclosed")
    settle(person, page)
    assert names(page) == ["get", "tell"]
    assert page.editor.faults
    field.setPlainText(TWO)
    settle(person, page)
    assert page.editor.faults == ()
    assert field.faults == {}


def test_a_fault_is_shown_on_the_graph_in_the_details_and_leads_there(
    page: ChainsPage, person: Person
) -> None:
    page.editor.set_edge(0, {"when": {"all": [{"fact": "result.status", "operator": "gt", "value": 1}]}}, "x")
    settle(person, page)
    page.editor.select()
    person.settle()
    assert page.graph.view.graph.edges[0].fault == "there is no operator 'gt'."
    found = page.inside.chain.findChild(QPushButton, "chains.fault.0")
    assert found is not None
    found.click()
    assert page.editor.edges == (0,)


# Without a canvas


def test_all_of_it_can_be_done_in_the_list(page: ChainsPage, person: Person) -> None:
    person.window._run_on("chains", "list")
    page.tree.setFocus(Qt.FocusReason.TabFocusReason)
    tree = page.tree
    assert tree.model().rowCount() == 2
    first = tree.tree.index(0, 0)
    assert (
        tree.tree.data(first, Qt.ItemDataRole.AccessibleTextRole)
        == "get, http.request.get, the run begins here"
    )
    edge = tree.tree.index(0, 0, first)
    assert tree.tree.data(edge) == "Edge to tell, if 1 rule holds"
    tree.setCurrentIndex(first)
    person.press("A")
    person.type("log message")
    person.press("Return")
    assert names(page) == ["get", "tell", "log"]
    tree.setFocus()
    page.editor.select(("tell",))
    person.press("C")
    person.type("log")
    person.press("Return")
    assert edges(page) == [("get", "tell"), ("get", "log"), ("tell", "log")]
    tree.setFocus()
    page.editor.select(("log",))
    person.press("F2")
    assert person.focused.objectName() == "chains.node.name"
    tree.setFocus()
    page.editor.select(("log",))
    person.press("Delete")
    assert names(page) == ["get", "tell"]
    tree.setFocus()
    page.editor.select((), (0,))
    person.press("Return")
    assert person.focused.objectName().startswith("segment.") or person.focused is page.inside.edge.on


# Copy and paste


def test_nodes_are_copied_as_text_and_pasted_under_free_names(page: ChainsPage, person: Person) -> None:
    page.graph.view.setFocus()
    person.press("Ctrl+A")
    person.press("Ctrl+C")
    assert '"nodes"' in QGuiApplication.clipboard().text()
    person.press("Ctrl+V")
    assert names(page) == ["get", "tell", "get-2", "tell-2"]
    assert edges(page)[-1] == ("get-2", "tell-2")
    assert set(page.editor.nodes) == {"get-2", "tell-2"}
    person.press("Ctrl+X")
    assert names(page) == ["get", "tell"]
    QGuiApplication.clipboard().setText("not a chain")
    person.press("Ctrl+V")
    assert names(page) == ["get", "tell"]


def test_the_menu_of_a_node_offers_what_can_be_done(page: ChainsPage, person: Person) -> None:
    page.editor.select(("get",))
    page.graph.show_menu(page.graph.mapToGlobal(page.graph.rect().center()))
    menu = page.graph.findChild(QMenu, "chains.menu")
    assert menu is not None
    can = {action.objectName(): action.isEnabled() for action in menu.actions() if action.objectName()}
    assert can["chains.menu.connect"]
    assert not can["chains.menu.left"]
    menu.close()


def test_a_node_that_starts_another_chain_leads_to_it(page: ChainsPage, person: Person, legion: Any) -> None:
    legion.chains.texts["other"] = [TWO.replace("fetch-and-tell", "other")]
    page.chains.refresh()
    page.graph.view.setFocus()
    person.press("A")
    person.type("other")
    person.press("Return")
    assert page.editor.node is not None
    assert page.editor.node.chain == "other"
    page.graph.show_menu(page.graph.mapToGlobal(page.graph.rect().center()))
    menu = page.graph.findChild(QMenu, "chains.menu")
    assert menu is not None
    next(action for action in menu.actions() if action.objectName() == "chains.menu.chain").trigger()
    menu.close()
    assert page.editor.name == "other"
    assert page.list.current_key == "chain:other"
    page.chains.open("fetch-and-tell")
    assert names(page) == ["get", "tell", "other"]


# Running


def test_a_run_is_shown_on_the_graph_in_the_timeline_and_in_the_details(
    page: ChainsPage, person: Person
) -> None:
    page.head.start.click()
    settle(person, page)
    looks = page.graph.view.graph.nodes
    assert [(key, node.state, node.said) for key, node in looks.items()] == [
        ("get", "done", "done, 100 ms"),
        ("tell", "done", "done, 100 ms"),
    ]
    edge = page.graph.view.graph.edges[0]
    assert (edge.state, edge.held) == ("done", "yes")
    assert [row.node for row in page.timeline.rows.rows] == ["get", "tell"]
    page.timeline.list.setFocus()
    page.timeline.list.setCurrentIndex(page.timeline.rows.index(1))
    person.press("Return")
    assert page.editor.nodes == ("tell",)
    section = page.inside.node.run
    assert section.data.toPlainText() == '{\n "args": {\n  "message": "hello"\n }\n}'
    assert page.inside.node.form.rows["message"].result.text() == "= hello"


def test_a_condition_says_what_it_found_in_the_last_real_payload(page: ChainsPage, person: Person) -> None:
    page.head.start.click()
    settle(person, page)
    page.editor.select((), (0,))
    person.settle()
    condition = page.inside.edge.condition
    assert condition.verdict.accessibleName() == "True for this run"
    assert condition.now.text() == "result.status = 200, so this holds."
    condition.value.setFocus()
    condition.value.selectAll()
    person.type("404")
    assert condition.verdict.accessibleName() == "False for this run"
    assert condition.now.text() == "result.status = 200, so this does not hold."
    condition.fact.setFocus()
    condition.fact.selectAll()
    person.type("result.nothing")
    assert condition.now.text() == "result.nothing is missing, so this does not hold."


@pytest.mark.parametrize(
    ("engine", "template", "shown"),
    [
        ("liquid", '{"message": "{{ result.body | upcase }}"}', '"message": "HELLO"'),
        ("jsonpath", '{"message": "$.result.body"}', '"message": "hello"'),
        ("static", '{"message": "as it is"}', '"message": "as it is"'),
        ("llm", "Say {{ result.body }}", "Say hello"),
    ],
)
def test_a_transform_shows_what_it_gives_for_the_last_real_payload(
    page: ChainsPage, person: Person, engine: str, template: str, shown: str
) -> None:
    page.head.start.click()
    settle(person, page)
    page.editor.select(("tell",))
    person.settle()
    transform = page.inside.node.transform
    transform.engine.choose(engine)
    transform.engine.changed.emit(engine)
    transform.template.setPlainText(template)
    person.settle()
    assert shown in transform.result.toPlainText()
    assert page.editor.draft.nodes[1].transform is not None
    page.editor.undo()
    page.editor.undo()
    assert page.editor.draft.nodes[1].transform is None


def test_a_failed_node_says_why_and_runs_again_from_there(
    page: ChainsPage, person: Person, legion: Any
) -> None:
    legion.chains.fails.add("get")
    page.head.start.click()
    settle(person, page)
    assert page.graph.view.graph.nodes["get"].state == "failed"
    assert page.graph.view.graph.nodes["tell"].state == "skipped"
    page.editor.select(("get",))
    person.settle()
    assert "told so" in page.inside.node.run.reason.text()
    legion.chains.fails.clear()
    page.inside.node.run.again.click()
    settle(person, page)
    assert legion.chains.calls[-1] == ("replay", "run_1", "get")
    assert page.graph.view.graph.nodes["tell"].state == "done"


def test_a_pinned_result_is_given_to_the_next_run_and_shown_on_the_node(
    page: ChainsPage, person: Person, legion: Any
) -> None:
    page.head.start.click()
    settle(person, page)
    page.editor.select(("get",))
    person.settle()
    page.inside.node.run.pin.click()
    assert page.graph.view.graph.nodes["get"].is_pinned
    page.head.start.click()
    settle(person, page)
    assert legion.chains.calls[-1] == (
        "run",
        "fetch-and-tell",
        {},
        False,
        {"get": {"status": 200, "body": "hello"}},
    )
    page.inside.node.run.pin.click()
    assert page.editor.runs.pins == {}


def test_a_dry_run_of_what_is_not_saved_saves_nothing(page: ChainsPage, person: Person, legion: Any) -> None:
    page.editor.add("log.message.write", (600, 200), "tell")
    settle(person, page)
    page.head.dry.click()
    settle(person, page)
    assert legion.chains.calls[-1][0] == "preview"
    assert not page.editor.is_saved
    assert page.head.run_pill.accessibleName().startswith("Dry run, done")


def test_a_run_is_stopped_and_an_old_one_looked_at_again(
    page: ChainsPage, person: Person, legion: Any
) -> None:
    page.head.start.click()
    settle(person, page)
    legion.chains.is_slow = True
    page.head.start.click()
    settle(person, page)
    assert page.head.start.text() == "Stop"
    page.head.start.click()
    settle(person, page)
    assert legion.chains.calls[-1] == ("cancel", "run_2")
    assert page.head.start.text() == "Run"
    page.list.setCurrentIndex(page.list.rows.index(page.list.rows.place_of("run:run_1")))
    person.settle()
    assert page.editor.runs.run is not None
    assert page.editor.runs.run.view.id == "run_1"


def test_the_input_is_given_to_the_run_and_remembered(page: ChainsPage, person: Person, legion: Any) -> None:
    field = page.inside.chain.input
    field.setPlainText('{"url": ')
    assert field.property("error")
    field.setPlainText('{"url": "http://127.0.0.1/"}')
    assert not field.property("error")
    page.head.start.click()
    settle(person, page)
    assert legion.chains.calls[-1][2] == {"url": "http://127.0.0.1/"}
    page.new_chain()
    page.graph.close_picker()
    page.chains.open("fetch-and-tell")
    assert page.editor.runs.input == {"url": "http://127.0.0.1/"}


def test_facts_of_a_run_move_the_graph_before_it_is_read_again(
    page: ChainsPage, person: Person, legion: Any
) -> None:
    from legion_core.api.chains import EdgeDecided, NodeCame, RunAdvanced
    from legion_core.api.tasks import TaskStarted

    legion.chains.is_slow = True
    page.head.start.click()
    settle(person, page)
    run = page.editor.runs.run
    assert run is not None
    run.nodes.clear()
    run.edges.clear()
    run.node("get").counts["queued"] = 1
    run.node("tell").counts["accepted"] = 1
    flown: list[tuple[int, ...]] = []
    page.editor.runs.edges_fired.connect(flown.append)
    stamp = legion.chains._stamp()
    legion.events.publish(TaskStarted(id="t", task="x", attempt=1, run=run.view.id, node="get", **stamp))
    person.settle()
    assert page.graph.view.graph.nodes["get"].state == "running"
    legion.events.publish(
        RunAdvanced(
            run=run.view.id, chain="fetch-and-tell", node="get", key="get", task="x", status="succeeded",
            edges=(EdgeDecided(edge=0, source="get", target="tell"),),
            came=(NodeCame(node="tell", key="tell", status="queued"),), **stamp,
        )
    )  # fmt: skip
    person.settle()
    assert flown == [(0,)]
    assert page.graph.view.graph.nodes["get"].state == "done"
    assert page.graph.view.graph.nodes["tell"].said == "queued"
    legion.chains.end(run.view.id)
    settle(person, page)
    assert page.editor.runs.run is not None
    assert not page.editor.runs.run.is_running


# The list of chains


def test_a_chain_is_renamed_deleted_and_brought_back(page: ChainsPage, person: Person, legion: Any) -> None:
    page.list.setFocus()
    page.list.rename("chain:fetch-and-tell")
    editor = person.focused
    assert editor.objectName() == "chains.rename"
    editor.selectAll()  # type: ignore[attr-defined]
    person.type("told")
    person.press("Return")
    settle(person, page)
    assert list(legion.chains.texts) == ["told"]
    assert legion.chains.texts["told"][0] == TWO.replace("fetch-and-tell", "told")
    assert page.editor.name == "told"
    page.list.setFocus()
    person.press("Delete")
    settle(person, page)
    assert legion.chains.texts == {}
    assert page.body.currentWidget() is page.empty
    assert person.window.notices.toast.isVisible()
    page.chains.bring_back()
    settle(person, page)
    assert legion.chains.texts == {"told": [TWO.replace("fetch-and-tell", "told")]}
    assert page.editor.name == "told"


def test_a_name_that_cannot_be_is_refused_with_the_reason(page: ChainsPage, person: Person) -> None:
    page.list.rows.renamed.emit("chain:fetch-and-tell", "no blanks")
    assert person.stage.refusals[-1].startswith("A chain's name has letters")
    assert page.editor.rename_node("get", "tell") == "There is a node tell already."
    assert page.editor.rename_node("get", "1st").startswith("A name begins with a letter")


def test_what_is_not_saved_is_there_again_in_another_window(page: ChainsPage, person: Person) -> None:
    page.editor.add("log.message.write", (640, 240), "tell")
    page.chains.new()
    page.graph.close_picker()
    page.chains.flush()
    other = ChainsPage(person.services)
    other.chains.open("fetch-and-tell")
    assert [node.name for node in other.editor.draft.nodes] == ["get", "tell", "log"]
    assert other.editor.draft.places["log"] == (640, 240)
    assert "  # first of all" in text_of(other.editor.draft)
    assert not other.editor.is_saved
    assert "new-chain" in other.chains.names
    other.deleteLater()


def test_a_chain_is_exported_as_it_stands_and_imported(
    page: ChainsPage, person: Person, legion: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(call: Any, *args: Any, **named: Any) -> Any:
        return call(*args, **named)

    monkeypatch.setattr("asyncio.to_thread", at_once)
    page.index.write_file([str(tmp_path / "out.yaml")])
    assert (tmp_path / "out.yaml").read_text(encoding="utf-8") == TWO
    (tmp_path / "in.yaml").write_text(TWO.replace("fetch-and-tell", "other"), encoding="utf-8")
    page.index.read_files([str(tmp_path / "in.yaml")])
    settle(person, page)
    assert page.editor.name == "other"
    (tmp_path / "bad.yaml").write_text("name: x\nnodes: {}\n", encoding="utf-8")
    page.index.read_files([str(tmp_path / "bad.yaml")])
    assert "line 2" in person.stage.refusals[-1]


# By mouse


def test_by_mouse_a_node_is_added_after_another_from_its_port(page: ChainsPage, person: Person) -> None:
    view = page.graph.view
    view.add_asked.emit(QPointF(700, 40), "tell", "failure")
    picker = page.graph.picker
    assert picker is not None
    assert picker.field.accessibleDescription().endswith("log.message.write")
    person.type("write")
    person.qtbot.mouseClick(
        picker.list.viewport(),
        Qt.MouseButton.LeftButton,
        pos=picker.list.visualRect(picker.list.model().index(0, 0)).center(),
    )
    person.settle()
    assert page.editor.draft.edges[-1].on == "failure"
    assert edges(page)[-1] == ("tell", names(page)[-1])
    assert page.graph.picker is None


def test_escape_takes_the_search_away_and_gives_the_graph_the_focus(page: ChainsPage, person: Person) -> None:
    page.graph.view.setFocus()
    person.press("A")
    assert page.graph.picker is not None
    person.press("Escape")
    assert page.graph.picker is None
    assert person.focused is page.graph.view


def test_ctrl_f_finds_a_node(page: ChainsPage, person: Person) -> None:
    person.press("Ctrl+F")
    person.type("tell")
    person.press("Return")
    assert page.editor.nodes == ("tell",)


def test_while_the_page_is_hidden_nothing_of_it_runs(page: ChainsPage, person: Person, legion: Any) -> None:
    legion.chains.is_slow = True
    page.head.start.click()
    settle(person, page)
    assert page.timeline._tick.isActive()
    person.press("Ctrl+1")
    assert not page.timeline._tick.isActive()
    assert not page.graph.view._loader.isActive()


@pytest.mark.parametrize("what", ["chain", "node", "edge"])
def test_every_control_has_a_name_an_id_and_a_tooltip(page: ChainsPage, person: Person, what: str) -> None:
    page.head.start.click()
    settle(person, page)
    page.editor.set_node("tell", {**page.editor.draft.nodes[1].fields, "transform": {"template": "x"}}, "x")
    page.editor.select(("tell",) if what == "node" else (), (0,) if what == "edge" else ())
    for way in ("graph", "list", "text"):
        page.run(way)
        person.settle()
        found = [
            widget
            for widget in page.findChildren(QWidget)
            if widget.isVisibleTo(page)
            and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            and not widget.objectName().startswith(("qt_", "_q_"))
        ]
        assert len(found) > 15
        assert [
            f"{type(each).__name__} in {each.parent().objectName()}"
            for each in found
            if not each.accessibleName()
        ] == []
        assert [each.accessibleName() for each in found if not each.objectName()] == []
        mute = [each for each in found if isinstance(each, QPushButton) and not each.toolTip()]
        assert [each.objectName() for each in mute if not each.text()] == []


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_nothing_is_pushed_out_of_a_small_window(
    page: ChainsPage, person: Person, legion: Any, scale: float
) -> None:
    from app.theme.apply import apply

    legion.chains.fails.add("get")
    page.head.start.click()
    settle(person, page)

    app = QApplication.instance()
    assert isinstance(app, QApplication)
    apply(app, "dark", scale)
    person.window.resize(900, 560)
    person.settle()
    assert page.head.minimumSizeHint().width() <= page.main.width()
    page.show_inspector()
    page.editor.select(("get",))
    person.settle()
    area = page.inside.panels.currentWidget()
    assert area is not None
    assert area.horizontalScrollBar().maximum() == 0  # type: ignore[attr-defined]
    assert page.inside.node.width() <= area.width()


def test_what_was_just_written_is_saved_and_not_what_stood_there_before(
    page: ChainsPage, person: Person, legion: Any
) -> None:
    page.run("text")
    page.text.field.setPlainText(TWO + "# just now\n")
    assert page.text._pause.isActive()
    person.press("Ctrl+S")
    assert legion.chains.texts["fetch-and-tell"][-1] == TWO + "# just now\n"


def test_what_is_no_chain_yet_stays_while_a_person_looks_at_the_graph(
    page: ChainsPage, person: Person
) -> None:
    page.run("text")
    page.text.field.setPlainText("name: [half")
    settle(person, page)
    page.run("graph")
    person.settle()
    page.run("text")
    person.settle()
    assert page.text.field.toPlainText() == "name: [half"
    assert not page.head.start.isEnabled()


def test_a_name_in_the_text_never_puts_a_chain_in_the_place_of_another(
    page: ChainsPage, person: Person, legion: Any
) -> None:
    other = TWO.replace("fetch-and-tell", "other")
    legion.chains.texts["other"] = [other]
    page.chains.refresh()
    page.run("text")
    page.text.field.setPlainText(other.replace("first of all", "mine"))
    person.press("Ctrl+S")
    assert legion.chains.texts["other"] == [other]
    assert person.stage.refusals[-1].startswith("There is a chain other already.")
    page.text.field.setPlainText(TWO.replace("fetch-and-tell", "third"))
    person.press("Ctrl+S")
    settle(person, page)
    assert set(legion.chains.texts) == {"fetch-and-tell", "other", "third"}
    assert page.chains.current == page.editor.name == "third"


def test_what_was_deleted_comes_back_with_what_was_not_saved(page: ChainsPage, person: Person) -> None:
    page.editor.add("log.message.write", (600, 200), "tell")
    page.chains.delete("fetch-and-tell")
    assert page.body.currentWidget() is page.empty
    page.chains.bring_back()
    settle(person, page)
    assert names(page) == ["get", "tell", "log"]
    page.chains.new()
    page.graph.close_picker()
    page.editor.add("log.message.write", (0, 0))
    page.chains.delete("new-chain")
    page.chains.bring_back()
    settle(person, page)
    assert page.editor.name == "new-chain"
    assert names(page) == ["log"]
