# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The palette over the window: type, see what matches, run it. Commands, chats, settings, models and help."""

from time import perf_counter
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractScrollArea, QLineEdit, QWidget

from app.commands import spoken
from app.theme.apply import look
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import hairline, key_cap, key_cap_size, rounded, text
from app.viewmodels.palette import Found, Item, PaletteIndex, from_conversations, from_models, from_settings
from app.views.services import Services
from app.views.shell import Shell

WIDTH, TOP, INPUT, ROW, CAPTION, FOOT = 640, 96, 52, 34, 28, 32
ROWS_SHOWN = 9
CHATS_MAX = 20_000
FOOT_WORDS = ((">", "commands"), ("@", "models"), (":", "settings"), ("?", "help"))


class Results(QAbstractScrollArea):
    """The matches, painted; captions are not chosen. It never has the focus: the field above keeps it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("palette.results")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self.viewport().setAutoFillBackground(False)
        self.found: tuple[Found, ...] = ()
        self.chosen = 0
        self._tops: list[tuple[float, str, int]] = []
        self._height = 0.0
        self.run: Any = None

    def show_found(self, found: tuple[Found, ...]) -> None:
        """Show these; the first is chosen."""
        self.found, self.chosen = found, 0
        self._tops.clear()
        top, group = 4.0, ""
        for at, hit in enumerate(found):
            if hit.item.group != group:
                group = hit.item.group
                self._tops.append((top, group, -1))
                top += look().px(CAPTION)
            self._tops.append((top, "", at))
            top += look().px(ROW)
        self._height = top + 6
        self.verticalScrollBar().setValue(0)
        self._fit()
        self._tell()
        self.viewport().update()

    @property
    def wanted_height(self) -> int:
        """What it takes to show all, at most nine rows and their captions."""
        return round(min(self._height, look().px(ROW) * ROWS_SHOWN + look().px(CAPTION) * 3 + 10))

    def move(self, step: int) -> None:  # type: ignore[override]
        """Choose the next or previous match."""
        if self.found:
            self.chosen = (self.chosen + step) % len(self.found)
            self._reveal()
            self._tell()
            self.viewport().update()

    def _tell(self) -> None:
        hit = self.found[self.chosen] if self.found else None
        self.setAccessibleName(f"{hit.item.title}, {hit.item.group}" if hit else "Nothing found")

    def _reveal(self) -> None:
        top = next(top for top, _, at in self._tops if at == self.chosen)
        bar = self.verticalScrollBar()
        if top < bar.value() + look().px(CAPTION):
            bar.setValue(round(top) - look().px(CAPTION))
        elif top + look().px(ROW) > bar.value() + self.viewport().height():
            bar.setValue(round(top + look().px(ROW) - self.viewport().height() + 6))

    def _fit(self) -> None:
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, round(self._height - self.viewport().height())))
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(look().px(ROW))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        offset = self.verticalScrollBar().value()
        for top, caption, at in self._tops:
            y = top - offset
            if y > self.viewport().height() or y < -look().px(ROW):
                continue
            if caption:
                box = QRectF(12, y + 8, self.viewport().width() - 24, look().px(CAPTION) - 10)
                text(painter, box, caption, "caption", "text.tertiary")
            else:
                self._paint_row(painter, self.found[at], y, at == self.chosen)
        painter.end()

    def _paint_row(self, painter: QPainter, hit: Found, y: float, is_chosen: bool) -> None:
        item = hit.item
        box = QRectF(6, y, self.viewport().width() - 12, look().px(ROW))
        if is_chosen:
            rounded(painter, box, 5, fill="bg.selected")
        middle = box.center().y()
        dpr = self.devicePixelRatioF()
        if item.tier:
            paint_tier(painter, item.tier, box.left() + 14, middle - 6)
        elif item.icon:
            painter.drawPixmap(
                QPointF(box.left() + 12, round(middle - 8)), pixmap(item.icon, "text.secondary", 16, dpr)
            )
        right = box.right() - 10
        caps = ([item.keys] if item.keys else []) + (["↵"] if is_chosen else [])
        for cap in reversed(caps):
            width, height = key_cap_size(cap)
            key_cap(painter, QRectF(right - width, middle - height / 2, width, height), cap)
            right -= width + 6
        left = box.left() + 38
        detail_width = look().metrics("small").horizontalAdvance(item.detail) if item.detail else 0.0
        room = right - left - (min(detail_width, 160.0) + 16 if item.detail else 8)
        used = _paint_title(painter, QRectF(left, box.top(), room, box.height()), item.title, hit.spans)
        if item.detail:
            text(
                painter, QRectF(left + used + 12, box.top(), right - left - used - 20, box.height()), item.detail,
                "small", "text.tertiary",
            )  # fmt: skip

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = self._at(event.position().y())
        if at >= 0 and at != self.chosen:
            self.chosen = at
            self.viewport().update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        at = self._at(event.position().y())
        if at >= 0 and self.run is not None:
            self.chosen = at
            self.run()

    def _at(self, y: float) -> int:
        y += self.verticalScrollBar().value()
        return next((at for top, _, at in self._tops if at >= 0 and top <= y < top + look().px(ROW)), -1)


class Palette(QWidget):
    """A scrim over the window and the palette on it. Escape or a click beside it closes it."""

    def __init__(self, services: Services, window: Shell) -> None:
        super().__init__(window)
        self.setObjectName("palette")
        self.setAccessibleName("Search everything")
        self._services = services
        self._window = window
        self._took_ms = 0.0
        self._chats: list[Item] = from_conversations(services.chats.found)
        self._models: list[Item] = from_models(services.models.all_rows)
        self.index = PaletteIndex(self._items())
        self.field = QLineEdit(self)
        self.field.setObjectName("palette.field")
        self.field.setProperty("bare", True)
        self.field.setPlaceholderText("Search commands, chats, settings and models")
        self.field.setAccessibleName("Search commands, chats, settings and models")
        self.field.setFont(look().font("title", 400))
        self.field.textChanged.connect(self._search)
        self.field.installEventFilter(self)
        self.results = Results(self)
        self.results.run = self.run_chosen
        self.setFocusProxy(self.field)
        self._rebuild()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        launch = self._services.bridge.launch
        launch(
            "palette.chats", lambda legion: legion.chat.list(limit=CHATS_MAX), self._add_chats, lambda _: None
        )
        launch("palette.models", lambda legion: legion.models.list(), self._add_models, lambda _: None)

    def run_chosen(self) -> None:
        """Do what the chosen match says, and close."""
        if not self.results.found:
            return
        key = self.results.found[self.results.chosen].item.key
        kind, _, what = key.partition(":")
        window = self._window
        window.close_overlay()
        match kind:
            case "command":
                self._services.commands.run(what)
            case "chat":
                window.open_chat(what)
            case "setting":
                page = window.go("settings")
                jump = getattr(page, "jump", None)
                if callable(jump):
                    jump(what)
            case "model":
                page = window.go("models")
                choose = getattr(page, "choose", None)
                if callable(choose):
                    choose(what)
            case _:
                return

    # What can be found

    def _items(self) -> list[Item]:
        commands = self._services.commands
        items: list[Item] = []
        for command in commands.available():
            if command.id == "palette.open":
                continue
            group = "Help" if command.group == "Help" else "Commands"
            title = f"Go to {command.title}" if command.group == "Go to" else command.title
            items.append(
                Item(
                    group, f"command:{command.id}", title, icon=command.icon or "chevron-right",
                    keys=spoken(command.shortcut), words=f"{command.words} {command.group}",
                )
            )  # fmt: skip
        return items

    def _rebuild(self) -> None:
        self.index = PaletteIndex(
            [*self._items(), *self._chats, *from_settings(self._services.settings.rows), *self._models]
        )
        self._search(self.field.text())

    def _add_chats(self, found: Any) -> None:
        if self._window.overlay is self:
            self._chats = from_conversations(found)
            self._rebuild()

    def _add_models(self, found: Any) -> None:
        if self._window.overlay is self:
            self._models = from_models(found)
            self._rebuild()

    def _search(self, query: str) -> None:
        began = perf_counter()
        found = self.index.search(query)
        self._took_ms = (perf_counter() - began) * 1000
        self.results.show_found(found)
        self._place()
        self.update()

    # Where it is and how it looks

    def _box(self) -> QRectF:
        width = min(WIDTH, self.width() - 48)
        top = min(TOP, max(24, self.height() // 8))
        body = self.results.wanted_height if self.results.found else look().px(56)
        height = min(look().px(INPUT) + body + look().px(FOOT), self.height() - top - 24)
        return QRectF((self.width() - width) / 2, top, width, height)

    def _place(self) -> None:
        box = self._box()
        head = look().px(INPUT)
        _, cap_height = key_cap_size("Esc")
        self.field.setGeometry(
            round(box.left()) + 46, round(box.top()) + 8, round(box.width()) - 46 - 64, head - 16
        )
        self.results.setGeometry(
            round(box.left()) + 1, round(box.top()) + head, round(box.width()) - 2,
            max(0, round(box.height()) - head - look().px(FOOT)),
        )  # fmt: skip
        self.results.setVisible(bool(self.results.found))
        del cap_height

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        scrim: QColor = look().colour("scrim")
        painter.fillRect(self.rect(), scrim)
        box = self._box()
        rounded(painter, box, 10, fill="bg.raised", line="line.normal")
        head, foot = look().px(INPUT), look().px(FOOT)
        hairline(painter, box.left() + 1, box.top() + head - 1, box.right() - 1, "line.normal")
        dpr = self.devicePixelRatioF()
        painter.drawPixmap(
            QPointF(box.left() + 16, box.top() + (head - 18) / 2), pixmap("search", "text.tertiary", 18, dpr)
        )
        width, height = key_cap_size("Esc")
        key_cap(
            painter, QRectF(box.right() - 16 - width, box.top() + (head - height) / 2, width, height), "Esc"
        )
        if not self.results.found:
            empty = QRectF(box.left(), box.top() + head, box.width(), look().px(56))
            text(
                painter, empty, "Nothing matches.", "ui", "text.tertiary", align=Qt.AlignmentFlag.AlignCenter
            )
        bottom = QRectF(box.left() + 1, box.bottom() - foot, box.width() - 2, foot - 1)
        painter.save()
        painter.setClipRect(bottom)
        rounded(painter, box.adjusted(1, 1, -1, -1), 9, fill="bg.side")
        painter.restore()
        hairline(painter, bottom.left(), bottom.top(), bottom.right(), "line.normal")
        left = box.left() + 16
        for sign, words in FOOT_WORDS:
            left += (
                text(painter, QRectF(left, bottom.top(), 80, foot), sign, "codeSmall", "text.secondary") + 5
            )
            left += text(painter, QRectF(left, bottom.top(), 120, foot), words, "small", "text.tertiary") + 16
        said = f"{len(self.results.found)} of {len(self.index):,} in {max(1, round(self._took_ms))} ms"
        text(
            painter, QRectF(left, bottom.top(), box.right() - 16 - left, foot), said, "small", "text.tertiary",
            align=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
        )  # fmt: skip
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if not self._box().contains(event.position()):
            self._window.close_overlay()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            match event.key():
                case Qt.Key.Key_Escape:
                    self._window.close_overlay()
                case Qt.Key.Key_Down:
                    self.results.move(1)
                case Qt.Key.Key_Up:
                    self.results.move(-1)
                case Qt.Key.Key_PageDown:
                    self.results.move(min(8, max(1, len(self.results.found) - 1 - self.results.chosen)))
                case Qt.Key.Key_PageUp:
                    self.results.move(-min(8, max(1, self.results.chosen)))
                case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                    self.run_chosen()
                case Qt.Key.Key_Tab | Qt.Key.Key_Backtab:
                    pass  # there is nowhere else to go while it is open
                case _:
                    return super().eventFilter(watched, event)
            return True
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:
        return self._window.size()


def _paint_title(painter: QPainter, box: QRectF, title: str, spans: tuple[tuple[int, int], ...]) -> float:
    """The title with its matched letters in accent and semibold; returns its width."""
    left, place = box.left(), 0
    for start, end in (*spans, (len(title), len(title))):
        for words, is_match in ((title[place:start], False), (title[start:end], True)):
            if words and left < box.right():
                left += text(
                    painter, QRectF(left, box.top(), box.right() - left, box.height()), words, "ui",
                    "accent.text" if is_match else "text.primary", weight=600 if is_match else None,
                )  # fmt: skip
        place = end
    return left - box.left()
