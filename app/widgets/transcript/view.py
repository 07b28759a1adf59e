# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The transcript a reader works with: select, copy, find, act on messages, by mouse and by keyboard.

    view = TranscriptView()
    view.model.reset(messages)                       # app.widgets.transcript.model
    view.link_activated.connect(ask_then_open)       # a link is never opened by the view itself
    view.badge_clicked.connect(show_route_trace)     # message id
    view.regenerate_requested / edit_requested / variant_requested(id, index) / action_triggered(id, action id)
    view.menu_wanted.connect(add_actions)            # (message id, QMenu) before the menu of a message opens
    view.find_text("words"); view.find_next(); view.find_previous(); view.clear_find()

Keys: J K next and previous message, Space and Shift+Space a page, Home End, Enter the menu of the message, [ ] its
variants, T its reasoning, Ctrl+C copies markdown, Ctrl+Shift+C plain text, Ctrl+A all, Escape drops the selection.
"""

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QContextMenuEvent,
    QFocusEvent,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QMenu, QToolTip, QWidget

from app.theme.icons import icon
from app.widgets.transcript.accessible import TranscriptVoice, install, message_words
from app.widgets.transcript.canvas import TranscriptCanvas
from app.widgets.transcript.copying import copied_text
from app.widgets.transcript.find import Match, find_all, ranges
from app.widgets.transcript.inline import is_safe
from app.widgets.transcript.laid import Spot
from app.widgets.transcript.laid_code import CodeLaid
from app.widgets.transcript.model import TranscriptModel
from app.widgets.transcript.rows import MessageRows
from app.widgets.transcript.selection import Caret
from app.widgets.transcript.stack import Place

COPIED_MS = 1200
DRAG_SCROLL_MS = 30
TRIPLE_PX = 4


class TranscriptView(TranscriptCanvas):
    """See the module."""

    link_activated = Signal(str)
    """An http, https or mailto address the user clicked."""
    badge_clicked = Signal(str)
    regenerate_requested = Signal(str)
    edit_requested = Signal(str)
    variant_requested = Signal(str, int)
    """Message id and the index wanted, counted from 0 and within range."""
    action_triggered = Signal(str, str)
    """Message id and the id of a button on an error."""
    picture_activated = Signal(str, int)
    """Message id and the number of one of its pictures, from 0."""
    menu_wanted = Signal(str, QMenu)
    find_changed = Signal(int, int)
    """Number of the current match, from 1 (0: none), and how many there are."""

    def __init__(self, model: TranscriptModel | None = None, parent: QWidget | None = None) -> None:
        super().__init__(model, parent)
        install()
        self.viewport().setMouseTracking(True)
        self.setAccessibleName("Conversation")
        self._pressed: tuple[Place, Spot] | None = None
        self._selecting = False
        self._clicked_at = QPointF()
        self._double = False
        self._drag = QTimer(self)
        self._drag.setInterval(DRAG_SCROLL_MS)
        self._drag.timeout.connect(self._drag_scroll)
        self._drag_at = QPoint()
        self._matches: list[Match] = []
        self._match = -1
        self.model.stream_began.connect(self._announce_start)
        self.model.stream_ended.connect(self._announce_end)
        self.model.was_reset.connect(self._describe)

    # ---- what messages offer ------------------------------------------------------------------------------------

    def activate(self, place: Place, spot: Spot) -> None:
        """Does what a spot is for."""
        message = self.model.at(place.item)
        match spot.kind:
            case "link":
                if is_safe(spot.value):
                    self.link_activated.emit(spot.value)
            case "copy":
                self.copy_message(message.id)
                self._say_copied(place)
            case "copy_code":
                row = self._row(place)
                if row.block is not None:
                    QGuiApplication.clipboard().setText(row.block.text)
                    self._say_copied(place)
            case "fold":
                self._toggle_fold(place)
            case "seam":
                self.badge_clicked.emit(message.id)
            case "badge" | "regenerate" | "more" | "own":
                acts = {"badge": self.badge_clicked.emit, "regenerate": self.regenerate_requested.emit}
                acts.get(spot.kind, self.open_menu)(message.id)
            case "variant":
                self.step_variant(place.item, 1 if spot.value == "next" else -1)
            case "action":
                self.action_triggered.emit(message.id, spot.value)
            case "picture":
                self.picture_activated.emit(message.id, int(spot.value))
            case _:
                pass  # a document: models read it, it opens nothing

    def copy_message(self, message_id: str, *, as_plain: bool = False) -> None:
        """Puts a whole message on the clipboard: markdown, or plain text."""
        item = self.model.place(message_id)
        if not as_plain:
            QGuiApplication.clipboard().setText(self.model.at(item).whole_text())
            return
        self._stack.height(Place(item, 0))  # opens it
        last = len(self._items[item].rows) - 1
        letters = self._laid(item, self._items[item].rows[last]).letters
        QGuiApplication.clipboard().setText(
            self._text_between(Caret(item, 0, 0), Caret(item, last, letters), as_plain=True)
        )

    def step_variant(self, item: int, step: int) -> None:
        """Asks for the next or previous variant of a message."""
        message = self.model.at(item)
        wanted = message.variant + step
        if 0 <= wanted < message.variants:
            self.variant_requested.emit(message.id, wanted)

    def open_menu(self, message_id: str, at: QPoint | None = None) -> None:
        """Opens the menu of a message."""
        message = self.model.message(message_id)
        menu = QMenu(self)
        menu.setObjectName("messageMenu")
        if not self.selection.is_empty:
            menu.addAction(icon("copy"), "Copy selection").triggered.connect(lambda: self.copy_selection())
        menu.addAction(icon("copy"), "Copy").triggered.connect(lambda: self.copy_message(message_id))
        plain = menu.addAction(icon("file-text"), "Copy as plain text")
        plain.triggered.connect(lambda: self.copy_message(message_id, as_plain=True))
        if message.whole_thinking():
            thoughts = menu.addAction(icon("copy"), "Copy reasoning")
            thoughts.triggered.connect(lambda: QGuiApplication.clipboard().setText(message.whole_thinking()))
            unfold = menu.addAction(icon("list"), "Show or hide the reasoning")
            unfold.triggered.connect(lambda: self.toggle_reasoning(message_id))
        if message.role == "assistant" and not message.is_streaming:
            again = menu.addAction(icon("refresh-cw"), "Answer again")
            again.triggered.connect(lambda: self.regenerate_requested.emit(message_id))
        for number in range(message.pictures):
            words = f"Look at picture {number + 1}" if message.pictures > 1 else "Look at the picture"
            opened = menu.addAction(icon("image"), words)
            opened.triggered.connect(lambda _=False, at=number: self.picture_activated.emit(message_id, at))
        if message.role == "user":
            edit = menu.addAction(icon("pencil"), "Edit")
            edit.triggered.connect(lambda: self.edit_requested.emit(message_id))
        if message.badge is not None:
            trace = menu.addAction(icon("route"), "Show the route")
            trace.triggered.connect(lambda: self.badge_clicked.emit(message_id))
        self.menu_wanted.emit(message_id, menu)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(at or self._menu_point(message_id))

    def _menu_point(self, message_id: str) -> QPoint:
        item = self.model.place(message_id)
        last = [seen for seen in self._seen if seen.item == item]
        y = last[-1].y + last[-1].height if last else self.viewport().height() // 2
        y = min(max(0, y), self.viewport().height() - 40)
        return self.viewport().mapToGlobal(QPoint(self._column_left() + self._column_width() - 160, y))

    def _say_copied(self, place: Place) -> None:
        self._copied = place
        self.viewport().update()
        QTimer.singleShot(COPIED_MS, self, self._copied_seen)

    def _copied_seen(self) -> None:
        self._copied = None
        self.viewport().update()

    def toggle_reasoning(self, message_id: str) -> bool:
        """Shows or folds the reasoning of an answer; False where it has none."""
        item = self.model.place(message_id)
        self._flush(item)
        rows = self._rows_of(item)
        if not rows.rows or rows.rows[0].kind != "reasoning":
            return False
        self._toggle_fold(Place(item, 0))
        return True

    def _toggle_fold(self, place: Place) -> None:
        rows = self._items[place.item]
        row = self._row(place)
        key = rows.fold_key(row)
        if row.kind == "reasoning":
            self.selection.forget_from(place.item)  # the rows below move to other numbers
        self._unfolded.symmetric_difference_update({key})
        self._stack.reopen(place.item, 0, [row.estimate for row in rows.rebuild()])
        self._set_follow(False)
        self._refresh()

    # ---- selection and clipboard --------------------------------------------------------------------------------

    def selected_text(self, *, as_plain: bool = False) -> str:
        """What is selected, as markdown or plain text; empty where nothing is."""
        bounds = self.selection.bounds()
        return "" if bounds is None else self._text_between(*bounds, as_plain=as_plain)

    def copy_selection(self, *, as_plain: bool = False) -> None:
        """Puts what is selected on the clipboard; leaves the clipboard alone where nothing is."""
        words = self.selected_text(as_plain=as_plain)
        if words:
            QGuiApplication.clipboard().setText(words)

    def select_all(self) -> None:
        """Selects everything there is."""
        if not len(self.model):
            return
        last = len(self.model) - 1
        self._stack.height(Place(last, 0))
        row = len(self._items[last].rows) - 1
        self.selection.begin(Caret(0, 0, 0))
        self.selection.extend(Caret(last, row, 1 << 30))
        self.viewport().update()

    def _text_between(self, first: Caret, last: Caret, *, as_plain: bool) -> str:
        return copied_text(self.model, self._rows_of, self._laid, first, last, as_plain=as_plain)

    def _rows_of(self, item: int) -> MessageRows:
        self._stack.height(Place(item, 0))  # opens it
        return self._items[item]

    # ---- find ---------------------------------------------------------------------------------------------------

    def find_text(self, query: str, *, is_newest: bool = False) -> int:
        """Marks every place of `query`, goes to the first at or below what is seen, or to the newest; returns how many."""
        self._query = query
        self._matches = find_all((message.whole_text() for message in self.model.messages()), query)
        self._match = -1
        if self._matches:
            top = self._seen[0].item if self._seen else 0
            start = next((i for i, match in enumerate(self._matches) if match.item >= top), 0)
            start = len(self._matches) - 1 if is_newest else start
            self._go_to_match(start)
        else:
            self._current = None
            self.find_changed.emit(0, 0)
            self.viewport().update()
        return len(self._matches)

    def find_next(self) -> None:
        """Goes to the next match, after the last to the first."""
        if self._matches:
            self._go_to_match((self._match + 1) % len(self._matches))

    def find_previous(self) -> None:
        """Goes to the match before, before the first to the last."""
        if self._matches:
            self._go_to_match((self._match - 1) % len(self._matches))

    def clear_find(self) -> None:
        """Takes the marks away."""
        self._query = ""
        self._matches, self._match, self._current = [], -1, None
        self.find_changed.emit(0, 0)
        self.viewport().update()

    def _go_to_match(self, index: int) -> None:
        self._match = index
        match = self._matches[index]
        self._set_follow(False)
        rows = self._rows_of(match.item)
        place = Place(match.item, rows.row_of_line(match.line))
        if rows.is_folded(self._row(place)):
            # The place may be behind the fold; a find that shows nothing there would look broken.
            self._toggle_fold(place)
            place = Place(match.item, rows.row_of_line(match.line))
        nth = sum(
            1
            for other in self._matches[:index]
            if other.item == match.item and rows.row_of_line(other.line) == place.row
        )
        found = ranges(self._laid(place.item, self._row(place)).words, self._query)
        self._current = (place, min(nth, len(found) - 1))
        y = self._stack.y_of(place)
        if not 0 <= y <= self.viewport().height() - 60 or not any(
            (seen.item, seen.row) == tuple(place) for seen in self._seen
        ):
            self._stack.show(place, self.viewport().height() // 3)
        self._refresh()
        self.find_changed.emit(index + 1, len(self._matches))

    # ---- mouse --------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = event.position()
        spot = self._spot_at(at)
        if spot is not None:
            self._pressed = spot
            return
        self._pressed = None
        caret = self._caret_at(at)
        if caret is None:
            self.selection.clear()
        elif self._double and (at - self._clicked_at).manhattanLength() < TRIPLE_PX:
            self._select_row(caret)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.selection.extend(caret)
        else:
            self.selection.begin(caret)
        self._double = False
        self._selecting = caret is not None
        self._set_reading(caret.item if caret else -1)
        self.viewport().update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self._spot_at(event.position()) is not None:
            self.mousePressEvent(event)
            return
        caret = self._caret_at(event.position())
        if caret is None:
            return
        laid = self._laid(caret.item, self._items[caret.item].rows[caret.row])
        start, end = laid.word_at(caret.letter)
        self.selection.begin(caret._replace(letter=start))
        self.selection.extend(caret._replace(letter=end))
        self._double, self._clicked_at = True, event.position()
        QTimer.singleShot(QGuiApplication.styleHints().mouseDoubleClickInterval(), self, self._no_triple)
        self._set_follow(False)
        self.viewport().update()

    def _no_triple(self) -> None:
        self._double = False

    def _select_row(self, caret: Caret) -> None:
        laid = self._laid(caret.item, self._items[caret.item].rows[caret.row])
        self.selection.begin(caret._replace(letter=0))
        self.selection.extend(caret._replace(letter=laid.letters))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        if self._selecting and event.buttons() & Qt.MouseButton.LeftButton:
            self._set_follow(False)
            caret = self._caret_at(at)
            if caret is not None:
                self.selection.extend(caret)
            self._drag_at = at.toPoint()
            outside = not 0 <= at.y() < self.viewport().height()
            if outside and not self._drag.isActive():
                self._drag.start()
            elif not outside:
                self._drag.stop()
            self.viewport().update()
            return
        self._hover_at(at)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag.stop()
        self._selecting = False
        pressed, self._pressed = self._pressed, None
        if pressed is not None and event.button() == Qt.MouseButton.LeftButton:
            released = self._spot_at(event.position())
            if released is not None and released[0] == pressed[0] and released[1].kind == pressed[1].kind:
                self.activate(*released)

    def _drag_scroll(self) -> None:
        beyond = self._drag_at.y() if self._drag_at.y() < 0 else self._drag_at.y() - self.viewport().height()
        self.scroll_by(max(-80, min(80, beyond)))
        self._set_follow(False)
        caret = self._caret_at(QPointF(self._drag_at))
        if caret is not None:
            self.selection.extend(caret)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.angleDelta().y() > 0 or event.pixelDelta().y() > 0:
            self._set_follow(False)  # at once, even where there is nothing left to scroll
        sideways = event.angleDelta().x() or (
            event.angleDelta().y() if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 0
        )
        if sideways and self._scroll_code(event.position(), -sideways / 2):
            event.accept()
            return
        super().wheelEvent(event)

    def _scroll_code(self, at: QPointF, delta: float) -> bool:
        found = self._row_at(at.y())
        if found is None:
            return False
        laid = self._row(found).laid
        if isinstance(laid, CodeLaid) and laid.scroll_x(delta):
            self.viewport().update()
            return True
        return False

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover_at(QPointF(-1, -1))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        found = self._row_at(self.viewport().mapFromGlobal(event.globalPos()).y())
        if found is not None:
            self.open_menu(self.model.at(found.item).id, event.globalPos())

    def _hover_at(self, at: QPointF) -> None:
        spot = self._spot_at(at)
        if spot != self._hover:
            self._hover = spot
            self.viewport().update()
        if spot is not None and spot[1].kind == "document":
            shape = Qt.CursorShape.ArrowCursor  # it has a tooltip and opens nothing
        elif spot is not None:
            shape = Qt.CursorShape.PointingHandCursor
        else:
            shape = Qt.CursorShape.IBeamCursor if self._is_text_at(at) else Qt.CursorShape.ArrowCursor
        if self.viewport().cursor().shape() != shape:
            self.viewport().setCursor(shape)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            assert isinstance(event, QHelpEvent)
            spot = self._spot_at(QPointF(event.pos()))
            tip = spot[1].tip if spot is not None else ""
            if tip:
                QToolTip.showText(event.globalPos(), tip, self.viewport())
            else:
                QToolTip.hideText()
            return True
        return super().viewportEvent(event)

    # ---- places -------------------------------------------------------------------------------------------------

    def _row_at(self, y: float) -> Place | None:
        for seen in self._seen:
            if seen.y <= y < seen.y + seen.height:
                return Place(seen.item, seen.row)
        return None

    def _inside(self, place: Place, at: QPointF) -> QPointF:
        top = next(seen.y for seen in self._seen if (seen.item, seen.row) == tuple(place))
        return QPointF(at.x() - self._column_left(), at.y() - top - self._row(place).gap)

    def _spot_at(self, at: QPointF) -> tuple[Place, Spot] | None:
        place = self._row_at(at.y())
        if place is None:
            return None
        inside = self._inside(place, at)
        spot = self._laid(place.item, self._row(place)).spot_at(inside.x(), inside.y())
        return (place, spot) if spot is not None else None

    def _is_text_at(self, at: QPointF) -> bool:
        place = self._row_at(at.y())
        if place is None:
            return False
        inside = self._inside(place, at)
        laid = self._laid(place.item, self._row(place))
        return laid.letters > 0 and 0 <= inside.y() <= laid.height and laid.is_text_at(inside.x(), inside.y())

    def _caret_at(self, at: QPointF) -> Caret | None:
        """The character nearest to a point; above and below the rows it is the first and last of those seen."""
        if not self._seen:
            return None
        place = self._row_at(at.y())
        if place is None:
            edge = self._seen[0] if at.y() < self._seen[0].y else self._seen[-1]
            place = Place(edge.item, edge.row)
        inside = self._inside(place, at)
        laid = self._laid(place.item, self._row(place))
        letter = laid.position_at(inside.x(), inside.y())
        if inside.y() < 0:
            letter = 0
        elif inside.y() > laid.height:
            letter = laid.letters
        return Caret(place.item, place.row, letter)

    # ---- keyboard -----------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self._copy_key(event) and not self._move_key(event) and not self._message_key(event):
            event.ignore()

    def _copy_key(self, event: QKeyEvent) -> bool:
        control = Qt.KeyboardModifier.ControlModifier
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_selection()
        elif event.key() == Qt.Key.Key_C and event.modifiers() == control | Qt.KeyboardModifier.ShiftModifier:
            self.copy_selection(as_plain=True)
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif event.key() == Qt.Key.Key_Escape and not self.selection.is_empty:
            self.selection.clear()
            self.viewport().update()
        else:
            return False
        return True

    def _move_key(self, event: QKeyEvent) -> bool:
        page = max(40, self.viewport().height() - 60)
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.modifiers() & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier):
            return False
        match event.key():
            case Qt.Key.Key_Space:
                self.scroll_by(-page if shift else page)
            case Qt.Key.Key_PageDown:
                self.scroll_by(page)
            case Qt.Key.Key_PageUp:
                self.scroll_by(-page)
            case Qt.Key.Key_Down:
                self.scroll_by(60)
            case Qt.Key.Key_Up:
                self.scroll_by(-60)
            case Qt.Key.Key_End:
                self.follow_end()
            case Qt.Key.Key_Home:
                self._set_follow(False)
                self._stack.scroll_to(0)
                self._refresh()
            case _:
                return False
        return True

    def _message_key(self, event: QKeyEvent) -> bool:
        if not len(self.model) or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return False
        item = self._reading if self._reading >= 0 else (self._seen[-1].item if self._seen else 0)
        match event.key():
            case Qt.Key.Key_J:
                self._read(min(self._reading + 1, len(self.model) - 1) if self._reading >= 0 else item)
            case Qt.Key.Key_K:
                self._read(max(self._reading - 1, 0) if self._reading >= 0 else item)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._read(item)
                self.open_menu(self.model.at(item).id)
            case Qt.Key.Key_BracketLeft:
                self.step_variant(item, -1)
            case Qt.Key.Key_BracketRight:
                self.step_variant(item, 1)
            case Qt.Key.Key_T:
                return self.toggle_reasoning(self.model.at(item).id)
            case _:
                return False
        return True

    def _set_reading(self, item: int) -> None:
        self._reading = item

    def _read(self, item: int) -> None:
        """Makes a message the current one and brings its top into view."""
        self._set_reading(item)
        place = Place(item, 0)
        y = self._stack.y_of(place)
        if not 0 <= y < self.viewport().height() - 60:
            self._set_follow(False)
            self._stack.show(place, 12)
        self._refresh()
        self._announce(message_words(self.model.at(item)))

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        by_keys = event.reason() in {Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason}
        if by_keys and self._reading < 0 and self._seen:
            self._set_reading(self._seen[-1].item)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    # ---- for those who listen -----------------------------------------------------------------------------------

    def _announce(self, words: str) -> None:
        if QAccessible.isActive():
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    def _announce_start(self, place: int) -> None:
        self._announce(f"Answer started. {self.model.at(place).note}".strip())

    def _announce_end(self, place: int) -> None:
        message = self.model.at(place)
        words = {"stopped": "Answer stopped", "failed": "Answer broke off"}.get(
            message.status, "Answer finished"
        )
        self._set_description()
        self._announce(f"{words}: {message.whole_text()[:400]}")

    def _describe(self) -> None:
        if isinstance(self.voice, TranscriptVoice):
            self.voice.forget()
        self._set_description()

    def _set_description(self) -> None:
        count = len(self.model)
        last = self.model.at(count - 1).whole_text()[:200] if count else ""
        self.setAccessibleDescription(f"{count} messages. {last}" if count else "No messages yet")
