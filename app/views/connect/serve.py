"""The Serve tab: how to reach us, the programs of this computer, what would be written for one, and the live calls."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QScrollArea, QWidget

from app.theme.apply import look
from app.viewmodels.connect import ConnectViewModel
from app.views.connect.cards import CardGrid
from app.views.connect.copying import CopyField
from app.views.connect.grid import Col, Grid, Row
from app.views.connect.preview import PreviewPanel
from app.views.parts import ElidedLabel, button, column, fill, frame, label, line, row

CALL_COLUMNS = (
    Col("Time", 64, colour="text.tertiary"),
    Col("Tool", 0.4, style="codeSmall"),
    Col("Arguments", 0.6, colour="text.secondary"),
    Col("App", 96),
    Col("Took", 84, colour="text.secondary", is_number=True),
)
CALLS_HEIGHT = 119


class ServeTab(QWidget):
    """All of it; the calls stand at the bottom, whatever is scrolled above."""

    def __init__(self, connect: ConnectViewModel) -> None:
        super().__init__()
        self._connect = connect
        self.command = CopyField("connect.command", "Command, stdio", self._told)
        self.address = CopyField("connect.address", "Address, HTTP", self._told)
        fields = row(margins=(16, 14, 16, 12), spacing=12)
        for field in (self.command, self.address):
            one = column(spacing=4)
            fill(one, label(field.accessibleName(), "caption", "tertiary"), field)
            fields.addLayout(one, 1)
        caption = row(margins=(16, 4, 16, 8), spacing=8)
        fill(
            caption,
            label("Apps on this computer", "section"),
            ElidedLabel("We write only our own keys, and take out only those", "small", "tertiary"),
            None,
        )
        self.grid = CardGrid(connect, self.act)
        self.preview = PreviewPanel(connect, self.act)
        below = row(margins=(16, 0, 16, 14))
        below.addWidget(self.preview)
        body = frame("scrolled")
        fill(column(body), fields, caption, self.grid, below, None)
        self.area = QScrollArea()
        self.area.setObjectName("connect.scroll")
        self.area.setAccessibleName("Serve")
        self.area.setWidgetResizable(True)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(body)
        layout = column(self)
        layout.addWidget(self.area, 1)
        layout.addWidget(self._make_calls())
        connect.changed.connect(self._show)
        connect.preview_changed.connect(self._show_preview)
        connect.calls_changed.connect(self._show_calls)
        self.preview.hide()
        self._show_calls()

    def _make_calls(self) -> QWidget:
        panel = QWidget()
        self.calls_words = label("", "small", "tertiary")
        self.pause = button("Pause all", "connect.pause", self._pause, icon="pause", kind="ghost", small=True,
                            tip="Refuse every call until you go on")  # fmt: skip
        head = row(margins=(16, 4, 12, 4), spacing=8)
        fill(head, label("Live calls", "section"), self.calls_words, None, self.pause)
        self.calls = Grid("connect.calls", "Live calls, newest first", CALL_COLUMNS)
        self._calls_table = QWidget()
        fill(column(self._calls_table), line(), self.calls.head(), self.calls)
        fill(column(panel), line("lineNormal"), head, self._calls_table)
        self._resize()
        look().theme_changed.connect(self._resize)
        return panel

    def _resize(self) -> None:
        self._calls_table.setFixedHeight(look().px(CALLS_HEIGHT))

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The chosen card, else the first one."""
        card = self.grid.cards.get(self._connect.selected) or next(iter(self.grid.cards.values()), None)
        (card or self.command).setFocus(reason)

    def act(self, name: str, verb: str) -> None:
        """Do what a button of a card says."""
        match verb:
            case "apply":
                self._connect.apply(name)
            case "undo":
                self._connect.select(name)
                self._connect.undo(name)
            case "copy":
                self._connect.snippet(name, self._copied)
            case _:
                self._connect.select(name)
                self.area.ensureWidgetVisible(self.preview, 0, 0)

    def _copied(self, snippet: str) -> None:
        QGuiApplication.clipboard().setText(snippet)
        self._told("Copied the entry")

    def _told(self, words: str) -> None:
        self._connect.told.emit(words, "copy")

    def _pause(self) -> None:
        self._connect.set_paused(not self._connect.is_paused)

    def _show(self) -> None:
        self.command.show_value(self._connect.command)
        self.address.show_value(self._connect.url, "The address is not open")
        self.grid.show_cards()
        self.pause.setText("Go on" if self._connect.is_paused else "Pause all")
        self.preview.show_preview()

    def _show_preview(self) -> None:
        self.grid.show_cards()
        self.preview.show_preview()

    def _show_calls(self) -> None:
        self.calls_words.setText(f"{self._connect.calls_today} today" if self._connect.calls else "None yet")
        self._calls_table.setVisible(bool(self._connect.calls))
        self.calls.show_rows(
            [
                Row(
                    key=call.key,
                    cells=(call.time, call.tool, call.arguments, call.app, call.took),
                    spoken=call.spoken,
                    colours={4: "err.text"} if call.is_bad else {},
                )
                for call in self._connect.calls
            ]
        )
