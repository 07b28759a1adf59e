"""The transcript as a reader has it: never moved under the eyes, selectable while it grows, safe, usable by keys."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QWheelEvent
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from app.theme.apply import apply
from app.widgets.transcript.accessible import message_words
from app.widgets.transcript.laid import Spot
from app.widgets.transcript.laid_code import CodeLaid
from app.widgets.transcript.model import Action, Badge, ChainStep, Message, Seam, Tool
from app.widgets.transcript.selection import Caret
from app.widgets.transcript.stack import Place
from app.widgets.transcript.view import TranscriptView
from tests.gui.conftest import plain_look

LONG = "\n\n".join(f"Paragraph {n} with some **words** in it and `code` too." for n in range(60))
CODE = "```python\n" + "\n".join(f"line_{n} = {n}" for n in range(80)) + "\n```"


@pytest.fixture
def view(qapp: QApplication, qtbot: QtBot) -> TranscriptView:
    plain_look(qapp)
    found = TranscriptView()
    qtbot.addWidget(found)
    found.resize(700, 500)
    found.show()
    found.activateWindow()
    qtbot.waitUntil(found.isActiveWindow, timeout=100_000)
    return found


def answer(text: str, name: str = "a", **more: object) -> Message:
    return Message(id=name, role="assistant", text=text, **more)  # pyright: ignore[reportArgumentType]


def tick(view: TranscriptView) -> None:
    """One frame, at once: the test must not wait for a timer."""
    view._tick()
    QApplication.processEvents()


def wheel(view: TranscriptView, notches: int) -> None:
    centre = QPointF(350, 250)
    event = QWheelEvent(
        centre, view.viewport().mapToGlobal(centre), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view.viewport(), event)


def spots(view: TranscriptView) -> list[tuple[Place, Spot]]:
    """Every clickable place that is seen, by trying a grid of points."""
    found: list[tuple[Place, Spot]] = []
    for y in range(0, view.viewport().height(), 4):
        for x in range(0, view.viewport().width(), 4):
            spot = view._spot_at(QPointF(x, y))
            if spot is not None and spot not in found:
                found.append(spot)
    return found


def click(qtbot: QtBot, view: TranscriptView, kind: str, value: str | None = None) -> None:
    for y in range(0, view.viewport().height(), 3):
        for x in range(0, view.viewport().width(), 3):
            spot = view._spot_at(QPointF(x, y))
            if spot is not None and spot[1].kind == kind and (value is None or spot[1].value == value):
                qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x + 1, y + 1))
                return
    raise AssertionError(f"no {kind} to click")


def test_a_chat_opens_at_its_end_and_follows_it(view: TranscriptView) -> None:
    view.model.reset([Message(id="u", role="user", text="hi"), answer(LONG)])
    assert view._stack.is_at_bottom
    assert view.follows


def test_a_stream_is_followed_only_until_the_reader_moves_up(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([Message(id="u", role="user", text="hi"), answer("")])
    view.model.begin_stream("a")
    view.model.append_text("a", LONG)
    tick(view)
    assert view._stack.is_at_bottom
    wheel(view, 1)
    assert not view.follows
    before = [(s.item, s.row, s.y) for s in view._seen]
    view.model.append_text("a", "\n\n" + LONG)
    tick(view)
    assert [(s.item, s.row, s.y) for s in view._seen] == before
    assert view._pill.isVisible()
    assert "new lines" in view._pill.text()
    qtbot.mouseClick(view._pill, Qt.MouseButton.LeftButton)
    assert view._stack.is_at_bottom
    assert view.follows
    assert not view._pill.isVisible()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(-400, 300), st.integers(1, 400)), min_size=3, max_size=12))
def test_away_from_the_end_growth_never_moves_the_viewport(
    view: TranscriptView, script: list[tuple[int, int]]
) -> None:
    view.model.reset([answer(LONG, "old"), Message(id="u", role="user", text="more"), answer("", "a")])
    view.model.begin_stream("a")
    text = LONG + "\n\n" + CODE
    position = 0
    for step, letters in script:
        view.scroll_by(step)
        follows, before = view.follows, [(s.item, s.row, s.y) for s in view._seen if s.item < 2]
        view.model.append_text("a", text[position : position + letters])
        position += letters
        tick(view)
        if not follows:
            assert [(s.item, s.row, s.y) for s in view._seen if s.item < 2] == before
    view.model.finish("a")


def test_the_frame_timer_exists_only_while_a_message_grows(view: TranscriptView) -> None:
    def active() -> list[QTimer]:
        return [timer for timer in view.findChildren(QTimer) if timer.isActive()]

    view.model.reset([answer("", "a")])
    assert active() == []
    view.model.begin_stream("a")
    view.model.append_text("a", "words")
    assert view._frame is not None
    assert view._frame.isActive()
    view.model.finish("a")
    QApplication.processEvents()
    assert view._frame is None
    assert active() == []


def test_the_waiting_glyph_steps_only_while_it_is_on_screen(view: TranscriptView) -> None:
    view.model.reset([answer(LONG, "old"), answer("", "a")])
    view.model.begin_stream("a", "Loading")
    assert view._stepper.isActive()
    assert view._stepper.interval() == 250
    view.scroll_by(-1500)
    assert not view._stepper.isActive()
    view.follow_end()
    assert view._stepper.isActive()
    view.hide()
    assert not view._stepper.isActive()


def test_streamed_and_reset_text_show_the_same_rows(view: TranscriptView) -> None:
    text = f"{LONG}\n\n{CODE}\n\n- a\n- b\n\n> q\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    view.model.reset([answer("", "a")])
    view.model.begin_stream("a")
    for start in range(0, len(text), 37):
        view.model.append_text("a", text[start : start + 37])
        if start % 5 == 0:
            tick(view)
    view.model.finish("a")
    streamed = [(row.kind, row.block) for row in view._items[0].rows]
    view.model.reset([answer(text, "a")])
    assert [(row.kind, row.block) for row in view._items[0].rows] == streamed


def test_a_selection_survives_streaming_and_copies_markdown_or_plain(view: TranscriptView) -> None:
    view.model.reset([answer("One **two** three.\n\nFour `five`.\n\nSix", "a")])
    view.model.begin_stream("a")
    view.selection.begin(Caret(0, 0, 4))
    view.selection.extend(Caret(0, 1, 100))
    view.model.append_text("a", " seven\n\neight\n\nnine")
    tick(view)
    assert view.selected_text() == "**two** three.\n\nFour `five`."
    assert view.selected_text(as_plain=True) == "two three.\n\nFour five."
    view.copy_selection()
    assert QGuiApplication.clipboard().text() == "**two** three.\n\nFour `five`."


def test_selecting_everything_gives_the_source_of_every_message(view: TranscriptView) -> None:
    source = "# Head\n\n- a\n- b\n\n```py\nx\n```\n\n> quote\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    view.model.reset([Message(id="u", role="user", text="my *words*"), answer(source), answer("end", "b")])
    view.select_all()
    assert view.selected_text() == f"my *words*\n\n{source}\n\nend"


def test_dragging_selects_across_blocks(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([answer("First paragraph here.\n\nSecond paragraph here.")])
    first, second = view._seen[0], view._seen[1]
    left = view._column_left()
    port = view.viewport()
    qtbot.mousePress(port, Qt.MouseButton.LeftButton, pos=QPoint(left + 1, first.y + 15))
    move = QPoint(left + 400, second.y + 15)
    qtbot.mouseMove(port, move)
    view._selecting = True
    caret = view._caret_at(QPointF(move))
    assert caret is not None
    view.selection.extend(caret)
    qtbot.mouseRelease(port, Qt.MouseButton.LeftButton, pos=move)
    assert view.selected_text() == "First paragraph here.\n\nSecond paragraph here."


def test_a_double_click_takes_a_word(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([answer("Firstword second")])
    point = QPoint(view._column_left() + 12, view._seen[0].y + 18)
    qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=point)
    assert view.selected_text() == "Firstword"


def test_links_are_only_told_and_bad_ones_are_no_links(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset(
        [answer("[go](https://example.org/x) [no](javascript:alert(1)) ![i](http://h/i.png) <b>")]
    )
    told: list[str] = []
    view.link_activated.connect(told.append)
    links = {spot.value for _, spot in spots(view) if spot.kind == "link"}
    assert links == {"https://example.org/x", "http://h/i.png"}
    click(qtbot, view, "link", "https://example.org/x")
    assert told == ["https://example.org/x"]


def test_copy_on_a_code_block_copies_its_code_and_says_so(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([answer("```py\nx = 1\ny = 2\n```")])
    click(qtbot, view, "copy_code")
    assert QGuiApplication.clipboard().text() == "x = 1\ny = 2"
    assert view._copied is not None


def test_long_code_folds_and_unfolds_without_moving_its_top(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([answer(f"{CODE}\n\nafter")])
    view._stack.scroll_to(0)
    view._refresh()
    top, height = view._seen[0].y, view._seen[0].height
    click(qtbot, view, "fold")
    assert view._seen[0].y == top
    assert view._seen[0].height > height


def test_code_gets_its_colours_after_the_first_paint(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([answer("```python\ndef f():\n    return 1\n```")])

    def coloured() -> bool:
        laid = view._row(Place(0, 0)).laid
        return isinstance(laid, CodeLaid) and bool(laid._colours)

    qtbot.waitUntil(coloured, timeout=100_000)


def test_the_footer_offers_its_actions(view: TranscriptView, qtbot: QtBot) -> None:
    badge = Badge(
        (ChainStep("direct", failed=True), ChainStep("fleet")), "fleet", "gpu-2", 402, 6.1, 66, "$0"
    )
    view.model.reset([answer("Words", "a", badge=badge, variant=1, variants=3)])
    heard: list[object] = []
    view.badge_clicked.connect(heard.append)
    view.regenerate_requested.connect(heard.append)
    view.variant_requested.connect(lambda name, index: heard.append((name, index)))
    click(qtbot, view, "badge")
    click(qtbot, view, "regenerate")
    click(qtbot, view, "variant", "next")
    click(qtbot, view, "variant", "previous")
    click(qtbot, view, "copy")
    assert heard == ["a", "a", ("a", 2), ("a", 0)]
    assert QGuiApplication.clipboard().text() == "Words"


def test_an_error_offers_its_buttons(view: TranscriptView, qtbot: QtBot) -> None:
    actions = (Action("retry", "Try again"), Action("frontier", "Use frontier"))
    view.model.reset([Message(id="e", role="error", note="No model", text="Why.", actions=actions)])
    heard: list[tuple[str, str]] = []
    view.action_triggered.connect(lambda a, b: heard.append((a, b)))
    click(qtbot, view, "action", "frontier")
    assert heard == [("e", "frontier")]


def test_a_seam_cuts_the_paragraph_where_the_stream_broke(view: TranscriptView) -> None:
    text = "A reading was lost here and the rest went on elsewhere."
    view.model.reset([answer("", "a")])
    view.model.begin_stream("a")
    view.model.append_text("a", text[:27])
    view.model.add_seam("a", Seam("fleet", "fleet/gpu-2", "after 6 tokens"))
    view.model.append_text("a", text[27:])
    view.model.finish("a")
    rows = view._items[0].rows
    assert [row.kind for row in rows] == ["block", "seam", "block", "footer"]
    joined = " ".join(row.block.text for row in rows if row.block is not None)
    assert joined == text


def test_a_seam_says_why_in_its_tooltip_and_opens_the_route(qtbot: QtBot, view: TranscriptView) -> None:
    seam = Seam(
        "fleet", "fleet/gpu-2", "after 6 tokens, connection lost", 4, "box-a/m: It closed the stream."
    )
    view.model.reset([answer("A reading was lost", seams=(seam,))])
    heard: list[str] = []
    view.badge_clicked.connect(heard.append)
    click(qtbot, view, "seam")
    assert heard == ["a"]
    place = next(place for place, row in enumerate(view._items[0].rows) if row.kind == "seam")
    spot = view._laid(0, view._items[0].rows[place]).spot_at(30, 5)
    assert spot is not None
    assert spot.tip == "box-a/m: It closed the stream."
    assert "continued on fleet/gpu-2 after 6 tokens, connection lost" in message_words(
        view.model.message("a")
    )


def test_find_counts_goes_round_and_shows_the_place(view: TranscriptView) -> None:
    view.model.reset([answer(LONG, f"m{n}") for n in range(20)])
    told: list[tuple[int, int]] = []
    view.find_changed.connect(lambda a, b: told.append((a, b)))
    assert view.find_text("paragraph 7 ") == 20
    for _ in range(20):
        view.find_next()
        assert view._current is not None
        place = view._current[0]
        assert tuple(place) in {(s.item, s.row) for s in view._seen}
        assert "Paragraph 7 " in view._laid(place.item, view._row(place)).words
    view.find_previous()
    assert {count for _, count in told} == {20}
    view.clear_find()
    assert told[-1] == (0, 0)
    assert view.find_text("nowhere to be found") == 0


def test_find_opens_the_fold_its_place_is_behind(view: TranscriptView) -> None:
    log = "\n".join(f"entry {n}" for n in range(100))
    view.model.reset([answer(CODE), Message(id="u", role="user", text=log)])
    for query in ("line_75 =", "entry 88"):
        assert view.find_text(query) == 1
        assert view._current is not None
        place, index = view._current
        assert index == 0
        assert query in view._laid(place.item, view._row(place)).words


def test_reading_by_keys(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([answer(LONG, f"m{n}", variant=0, variants=2) for n in range(5)])
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert view._stack.value == 0
    view._set_reading(0)
    qtbot.keyClick(view, Qt.Key.Key_J)
    assert view.reading == "m1"
    assert view._stack.anchor[0].item in {0, 1}
    qtbot.keyClick(view, Qt.Key.Key_K)
    assert view.reading == "m0"
    before = view._stack.value
    qtbot.keyClick(view, Qt.Key.Key_Space)
    assert view._stack.value > before
    wanted: list[tuple[str, int]] = []
    view.variant_requested.connect(lambda a, b: wanted.append((a, b)))
    qtbot.keyClick(view, Qt.Key.Key_BracketRight)
    qtbot.keyClick(view, Qt.Key.Key_BracketLeft)
    assert wanted == [("m0", 1)]
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.follows


def test_enter_opens_the_menu_of_the_message(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([Message(id="u", role="user", text="hi")])
    offered: list[str] = []

    def close(name: str, menu: QMenu) -> None:
        offered.extend([name, *(action.text() for action in menu.actions())])
        QTimer.singleShot(0, menu, menu.close)

    view.menu_wanted.connect(close)
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Return)
    QApplication.processEvents()
    assert offered == ["u", "Copy", "Copy as plain text", "Edit"]


def test_a_pasted_log_is_many_rows_behind_a_fold(view: TranscriptView, qtbot: QtBot) -> None:
    words = "\n".join(f"log line {n}" for n in range(30_000))
    view.model.reset([Message(id="u", role="user", text=words)])
    assert len(view._items[0].rows) == 1
    click(qtbot, view, "fold", "own")
    assert len(view._items[0].rows) > 120
    assert sum(row.laid is not None for row in view._items[0].rows) < 60
    view.select_all()
    assert view.selected_text() == words


def test_a_paragraph_without_end_is_laid_out_in_pieces(view: TranscriptView) -> None:
    view.model.reset([answer("word " * 100_000)])
    assert sum(row.laid is not None for row in view._items[0].rows) < 10


def test_narrowing_and_another_theme_keep_the_place(qapp: QApplication, view: TranscriptView) -> None:
    view.model.reset([answer(LONG, f"m{n}") for n in range(30)])
    view.show_message("m15")
    view.resize(420, 500)
    QApplication.processEvents()
    assert view._stack.anchor[0].item in {14, 15}
    apply(qapp, "dark", 1.5)
    assert view._stack.anchor[0].item in {14, 15}


def test_dropping_from_a_message_on_and_adding_again(view: TranscriptView) -> None:
    view.model.reset([answer(LONG, f"m{n}") for n in range(5)])
    view.model.drop_from("m3")
    assert len(view.model) == 3
    assert view._stack.is_at_bottom
    view.model.append_message(answer("again", "m3"))
    assert len(view._stack) == 4


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "```", "- ", "> ", "|", "\0", "\u202e\u200f\u2028\ud83d", "👩‍👩‍👧‍👦" * 50, "a" * 100_000,
        "[" * 500, "*" * 500, "> " * 200 + "x", "- " * 200 + "x", "<script>alert(1)</script>", "\u0300" * 300,
        "שלום **עולם** abc", "|a|b|\n|-|-|\n" + "|c|d|\n" * 300, "1. " * 100,
    ],
)  # fmt: skip
def test_strange_texts_show_and_copy_without_an_error(view: TranscriptView, text: str) -> None:
    view.model.reset([answer("", "a")])
    view.model.begin_stream("a")
    for start in range(0, len(text), 999):
        view.model.append_text("a", text[start : start + 999])
        tick(view)
    view.model.finish("a")
    view.select_all()
    view.grab()
    assert isinstance(view.selected_text(), str)
    assert isinstance(view.selected_text(as_plain=True), str)


def test_a_tool_card_unfolds(view: TranscriptView, qtbot: QtBot) -> None:
    view.model.reset([Message(id="t", role="tool", text="a\nb", tool=Tool("Read file", "x.py"))])
    height = view._seen[0].height
    click(qtbot, view, "fold", "tool")
    assert view._seen[0].height > height


def test_screen_readers_hear_what_is_there(view: TranscriptView) -> None:
    view.model.reset([Message(id="u", role="user", text="hello")])
    assert view.accessibleName() == "Conversation"
    assert "hello" in view.accessibleDescription()


def test_text_that_comes_while_a_message_is_out_of_reach_is_not_lost(view: TranscriptView) -> None:
    view.model.reset([answer(LONG, f"m{n}") for n in range(40)] + [answer("", "a")])
    view.show_message("m0")
    view._stack.forget_rows()
    view.model.begin_stream("a")
    for _ in range(30):
        view.model.append_text("a", "More text that comes. ")
        tick(view)
    view.model.finish("a")
    view.follow_end()
    assert view._items[40].blocks[0].text == ("More text that comes. " * 30).strip()
