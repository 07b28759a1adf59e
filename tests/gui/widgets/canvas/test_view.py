"""The canvas by mouse and by keyboard: it tells what a person wants, shows what it is given, and paints no more than it must."""

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.theme.apply import apply, look
from app.widgets.canvas.looks import EdgeLook, NodeLook
from app.widgets.canvas.minimap import Minimap
from app.widgets.canvas.view import GraphView
from tests.gui.conftest import plain_look

NODES = (
    NodeLook("a", "a", "http.request.get", "globe", 0, 0),
    NodeLook("b", "b", "log.message.write", "file-text", 280, 0, state="running", said="running"),
    NodeLook("c", "c", "log.message.write", "file-text", 280, 96, state="skipped"),
)
EDGES = (EdgeLook("a", "b", chip="1 rule", chip_icon="list-filter"), EdgeLook("a", "c", kind="failure"))


@pytest.fixture
def view(qapp: QApplication, qtbot: QtBot) -> GraphView:
    plain_look(qapp)
    made = GraphView("canvas")
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.lay_over(Minimap(made), Qt.Corner.BottomRightCorner)
    made.show()
    qtbot.waitExposed(made)
    made.show_graph(NODES, EDGES)
    made.fit()
    return made


def at(view: GraphView, x: float, y: float) -> QPoint:
    return view.mapFromScene(QPointF(x, y))


def drag(view: GraphView, qtbot: QtBot, start: QPoint, end: QPoint) -> None:
    port = view.viewport()
    mouse(view, QEvent.Type.MouseMove, start, Qt.MouseButton.NoButton)
    qtbot.mousePress(port, Qt.MouseButton.LeftButton, pos=start)
    for share in (0.3, 0.7, 1.0):
        mouse(view, QEvent.Type.MouseMove, start + (end - start) * share, Qt.MouseButton.LeftButton)
    qtbot.mouseRelease(port, Qt.MouseButton.LeftButton, pos=end)


def mouse(view: GraphView, kind: QEvent.Type, place: QPoint, held: Qt.MouseButton) -> None:
    port = view.viewport()
    where = QPointF(place)
    none = Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(kind, where, QPointF(port.mapToGlobal(place)), Qt.MouseButton.NoButton, held, none)
    QApplication.sendEvent(port, event)


def test_a_click_chooses_a_node_an_edge_and_nothing(view: GraphView, qtbot: QtBot) -> None:
    port = view.viewport()
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=at(view, 60, 20))
    assert view.selected == ("a",)
    qtbot.mouseClick(
        port, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, pos=at(view, 340, 20)
    )
    assert view.selected == ("a", "b")
    middle = view.graph.way(0).middle
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=at(view, middle.x(), middle.y()))
    assert (view.selected, view.selected_edges) == ((), (0,))
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=at(view, 100, 250))
    assert (view.selected, view.selected_edges) == ((), ())


def test_a_node_is_dragged_by_steps_of_the_grid_and_told_once(view: GraphView, qtbot: QtBot) -> None:
    told: list[dict[str, tuple[float, float]]] = []
    view.moved.connect(told.append)
    drag(view, qtbot, at(view, 60, 20), at(view, 60 + 43, 20 + 21))
    assert told == [{"a": (40, 24)}]


def test_from_a_port_to_a_node_is_an_edge_and_to_nowhere_asks_what_to_add(
    view: GraphView, qtbot: QtBot
) -> None:
    made: list[tuple[str, str, str]] = []
    asked: list[tuple[str, str]] = []
    view.connected.connect(lambda *ends: made.append(ends))
    view.add_asked.connect(lambda _, after, kind: asked.append((after, kind)))
    drag(view, qtbot, at(view, 280 + 176, 27), at(view, 340, 120))
    assert made == [("b", "c", "success")]
    drag(view, qtbot, at(view, 280 + 88, 54), at(view, 600, 200))
    assert asked == [("b", "failure")]
    assert view.graph.drawing is None


def test_a_frame_chooses_what_it_meets(view: GraphView, qtbot: QtBot) -> None:
    drag(view, qtbot, at(view, 250, -40), at(view, 500, 200))
    assert view.selected == ("b", "c")
    assert view.graph.band.isEmpty()


def test_arrows_walk_shift_extends_and_alt_moves(view: GraphView, qtbot: QtBot) -> None:
    told: list[dict[str, tuple[float, float]]] = []
    said: list[str] = []
    view.moved.connect(told.append)
    view.said.connect(said.append)
    qtbot.keyClick(view, Qt.Key.Key_Home)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.selected == ("b",)
    assert said[-1] == "b, log.message.write, running"
    qtbot.keyClick(view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert view.selected == ("b", "c")
    qtbot.keyClick(view, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert told == [{"b": (288, 0), "c": (288, 96)}]


def test_an_edge_is_drawn_by_keyboard_and_edges_are_walked(view: GraphView, qtbot: QtBot) -> None:
    made: list[tuple[str, str, str]] = []
    view.connected.connect(lambda *ends: made.append(ends))
    qtbot.keyClick(view, Qt.Key.Key_Home)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    qtbot.keyClick(view, Qt.Key.Key_C)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert made == [("b", "c", "success")]
    qtbot.keyClick(view, Qt.Key.Key_Home)
    for wanted in (0, 1, 0):
        qtbot.keyClick(view, Qt.Key.Key_E)
        assert view.selected_edges == (wanted,)
    qtbot.keyClick(view, Qt.Key.Key_C)
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    assert view.graph.drawing is None
    assert len(made) == 1


def test_a_canvas_that_may_only_be_read_asks_for_nothing(view: GraphView, qtbot: QtBot) -> None:
    told: list[object] = []
    view.moved.connect(told.append)
    view.connected.connect(lambda *ends: told.append(ends))
    view.add_asked.connect(lambda *what: told.append(what))
    view.is_read_only = True
    drag(view, qtbot, at(view, 60, 20), at(view, 160, 60))
    drag(view, qtbot, at(view, 280 + 176, 27), at(view, 340, 120))
    for key in (Qt.Key.Key_Home, Qt.Key.Key_A, Qt.Key.Key_C):
        qtbot.keyClick(view, key)
    qtbot.keyClick(view, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert told == []


def test_zoom_keeps_what_lies_under_the_mouse(view: GraphView) -> None:
    place = QPoint(200, 150)
    before = view.mapToScene(place)
    up = QPoint(0, 120)
    none, wheel = Qt.MouseButton.NoButton, Qt.ScrollPhase.NoScrollPhase
    held = Qt.KeyboardModifier.ControlModifier
    event = QWheelEvent(QPointF(place), QPointF(place), QPoint(), up, none, held, wheel, False)
    zoom = view.zoom
    QApplication.sendEvent(view.viewport(), event)
    assert view.zoom == pytest.approx(zoom * 1.2)
    after = view.mapToScene(place)
    assert abs(after.x() - before.x()) <= 2
    assert abs(after.y() - before.y()) <= 2


def test_zoom_has_bounds_and_fit_shows_everything(view: GraphView) -> None:
    view.set_zoom(99)
    assert view.zoom == 4.0
    view.set_zoom(0.0001)
    assert view.zoom == 0.1
    view.show_graph([NodeLook(str(x), "n", "", "globe", x * 280.0, 0) for x in range(200)], [])
    view.fit()
    assert view.seen.contains(view.graph.bounds)


def test_what_was_fitted_stays_fitted_when_the_room_changes(view: GraphView) -> None:
    view.fit()
    view.resize(500, 400)
    assert view.seen.contains(view.graph.bounds)
    view.pan(30, 0)
    zoom = view.zoom
    view.resize(420, 300)
    assert view.zoom == zoom


def test_a_pan_keeps_overlays_in_their_corners(view: GraphView) -> None:
    minimap = view.viewport().findChild(Minimap)
    assert minimap is not None
    place = minimap.pos()
    view.pan(40, 30)
    assert minimap.pos() == place


@pytest.mark.parametrize("theme", ["light", "dark", "highContrast"])
@pytest.mark.parametrize("zoom", [0.2, 0.55, 1.0, 2.0])
def test_it_paints_every_state_at_every_zoom(
    view: GraphView, qapp: QApplication, theme: str, zoom: float
) -> None:
    if look().theme != theme:
        apply(qapp, theme, 1.0)  # type: ignore[arg-type]
    states = ("", "waiting", "running", "done", "failed", "skipped", "unknown")
    nodes = [
        NodeLook(
            f"n{at}",
            "title",
            "task",
            "globe",
            at * 200.0,
            0,
            state=state,
            said=state,
            fault="wrong" * (at == 0),
        )  # type: ignore[arg-type]
        for at, state in enumerate(states)
    ]
    edges = [
        EdgeLook(f"n{at}", f"n{at + 1}", state=state, held="yes", chip="1", count="×3")  # type: ignore[arg-type]
        for at, state in enumerate(states[:-1])
    ]
    view.show_graph(nodes, edges)
    view.set_zoom(zoom)
    view.centre_on(view.graph.bounds.center())
    blank = view.grab().toImage()
    view.select(("n3",), (1,))
    view.send_messages((0, 2))
    assert view.grab().toImage() != blank


def test_no_timer_runs_while_nothing_runs(view: GraphView) -> None:
    assert view._loader.isActive()
    view.show_graph([NODES[0]], [])
    assert not view._loader.isActive()
    view.show_graph(NODES, EDGES)
    view.hide()
    assert not view._loader.isActive()
