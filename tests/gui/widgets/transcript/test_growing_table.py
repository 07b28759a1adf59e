"""A table that streams: what was laid out stays laid out once, and nothing of its earlier forms stays in memory."""

import gc

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.widgets.transcript.blocks import Splitter
from app.widgets.transcript.laid_table import TableLaid
from app.widgets.transcript.model import Message
from app.widgets.transcript.para import Para
from app.widgets.transcript.view import TranscriptView

HEAD = "| Day | High | Low |\n|---|---:|---|\n"
ROWS = [f"| 2026-01-{day:03d} | {day} cm | `{day}` |\n" for day in range(120)]


def table(text: str) -> TableLaid:
    splitter = Splitter()
    splitter.feed(text)
    splitter.close()
    return TableLaid(splitter.blocks[0], {}, 600)


def test_a_long_streamed_table_is_in_memory_about_once(qtbot: QtBot) -> None:
    view = TranscriptView()
    qtbot.addWidget(view)
    view.resize(800, 600)
    view.show()
    view.model.append_message(Message(id="a", role="assistant", text=""))
    view.model.begin_stream("a")
    view.model.append_text("a", HEAD)
    for row in ROWS:
        view.model.append_text("a", row)
        QApplication.processEvents()
        view.viewport().repaint()
    view.model.finish("a")
    QApplication.processEvents()
    gc.collect()

    alive = sum(1 for found in gc.get_objects() if type(found) is TableLaid)
    assert alive <= 2


def test_a_table_built_on_its_earlier_form_is_the_one_built_at_once(qapp: QApplication) -> None:
    whole = table(HEAD + "".join(ROWS))
    grown: TableLaid | None = None
    for count in range(1, len(ROWS) + 1, 7):
        splitter = Splitter()
        splitter.feed(HEAD + "".join(ROWS[:count]))
        splitter.close()
        grown = TableLaid(splitter.blocks[0], {}, 600, grown.cells if grown else None)
    splitter = Splitter()
    splitter.feed(HEAD + "".join(ROWS))
    splitter.close()
    assert grown is not None
    before = grown.cells
    grown = TableLaid(splitter.blocks[0], {}, 600, before)

    assert (grown.words, grown.height, grown.cells.columns) == (
        whole.words,
        whole.height,
        whole.cells.columns,
    )
    kept: list[Para] = [para for row in before.paras for para in row]
    if before.columns == grown.cells.columns:
        assert all(
            a is b for a, b in zip(kept, [para for row in grown.cells.paras for para in row], strict=False)
        )


def test_a_link_defined_later_reaches_cells_that_were_laid_out_before(qapp: QApplication) -> None:
    splitter = Splitter()
    splitter.feed("| a |\n|---|\n| [x][1] |\n")
    splitter.close()
    before = TableLaid(splitter.blocks[0], {}, 600)
    after = TableLaid(splitter.blocks[0], {"1": ("https://example.org", "")}, 600, before.cells)

    assert after.cells.rich[1] is not before.cells.rich[1]
