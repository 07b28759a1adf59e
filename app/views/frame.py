# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The frame of a page: second column, main area, inspector. It folds what does not fit instead of clipping it.

Below 1100 px the inspector becomes an overlay over the main area, below 960 px the second column does; both open
by their command and close with it, with Escape, or when the main area is used.
"""

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSplitter, QWidget

from app.theme.apply import look
from app.views.parts import bind, frame, icon_button, row

INSPECTOR_WIDTH, SIDE_WIDTH, ROOM_UNKNOWN = 312, 256, 1 << 20
SIDE_MIN, SIDE_MAX = 200, 420
FOLD_INSPECTOR, FOLD_SIDE = 1100, 960
INSPECTOR_MAX, SCALE_FOLD_MAX = 480, 1.3


class Edge(QFrame):
    """A panel beside the main area, with a line on the edge that faces it."""

    def __init__(self, name: str, content: QWidget, *, on_left: bool) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setProperty("role", "side")
        self.content = content
        self.rule = frame("lineNormal", parent=self)
        self.rule.setFixedWidth(1)
        layout: QHBoxLayout = row(self)
        if on_left:
            layout.addWidget(content, 1)
            layout.addWidget(self.rule)
        else:
            layout.addWidget(self.rule)
            layout.addWidget(content, 1)


class PageFrame(QWidget):
    """One page. `side` and `inspector` are optional; what the person wants shown is remembered by the window."""

    panes_changed = Signal()
    """A panel was shown or hidden: buttons that mirror it look again."""

    def __init__(
        self,
        page: str,
        main: QWidget,
        side: QWidget | None = None,
        inspector: QWidget | None = None,
        side_width: int = SIDE_WIDTH,
    ) -> None:
        super().__init__()
        self.setObjectName(f"page.{page}")
        self.page = page
        self.main = main
        self._side_width = side_width
        self._wants_side = True
        self._wants_inspector = False
        self._overlay_side = False
        self._overlay_inspector = False
        self._offers_inspector = True
        self._opener = main.findChild(QPushButton, _opener_name(page))
        if self._opener is not None:
            self._opener.clicked.connect(bind(self.show_inspector))
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setObjectName(f"{page}.panes")
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(0)
        row(self).addWidget(self.splitter)
        self.side = Edge(f"{page}.side", side, on_left=True) if side else None
        self.inspector = Edge(f"{page}.inspector", inspector, on_left=False) if inspector else None
        if self.side:
            self.side.setMinimumWidth(SIDE_MIN)
            self.side.setMaximumWidth(SIDE_MAX)
            self.splitter.addWidget(self.side)
        self.splitter.addWidget(main)
        main.setMinimumWidth(320)
        if self.inspector:
            self.inspector.setFixedWidth(inspector_width())
            self.splitter.addWidget(self.inspector)
            self.inspector.hide()
        index = self.splitter.indexOf(main)
        for at in range(self.splitter.count()):
            self.splitter.setStretchFactor(at, 1 if at == index else 0)
        if self.side:
            self.splitter.setSizes([side_width, 10_000, INSPECTOR_WIDTH][: self.splitter.count()])
        main.installEventFilter(self)
        look().theme_changed.connect(self._resized_text)

    # What the person wants

    @property
    def is_side_shown(self) -> bool:
        """Whether the second column can be seen."""
        return self.side is not None and self.side.isVisibleTo(self)

    @property
    def is_inspector_shown(self) -> bool:
        """Whether the inspector can be seen."""
        return self.inspector is not None and self.inspector.isVisibleTo(self)

    def toggle_side(self) -> None:
        """Show or hide the second column; over the main area where there is no room beside it."""
        if self._folds_side:
            self._overlay_side = not self._overlay_side
        else:
            self._wants_side = not self._wants_side
        self._arrange()

    def toggle_inspector(self) -> None:
        """Show or hide the inspector, where there is one."""
        if self._offers_inspector:
            self.show_inspector(not self.is_inspector_shown)

    def show_inspector(self, is_shown: bool = True) -> None:
        """Show the inspector, over the main area where there is no room beside it."""
        if self._folds_inspector:
            self._overlay_inspector = is_shown
        else:
            self._wants_inspector = is_shown
        self._arrange()

    def offer_inspector(self, is_offered: bool) -> None:
        """Whether what is shown now has an inspector at all; what the person wants is kept for when it has."""
        self._offers_inspector = is_offered
        self._overlay_inspector = self._overlay_inspector and is_offered
        self._arrange()

    def close_overlays(self) -> bool:
        """Fold what lies over the main area; whether something did."""
        was_open = self._overlay_side or self._overlay_inspector
        self._overlay_side = self._overlay_inspector = False
        if was_open:
            self._arrange()
        return was_open

    def state(self) -> dict[str, int]:
        """What to remember."""
        return {
            "side": int(self._wants_side),
            "inspector": int(self._wants_inspector),
            "width": self.side.width() if self.side and not self._folds_side else self._side_width,
        }

    def restore(self, state: dict[str, int]) -> None:
        """What was remembered; unknown words are ignored."""
        self._wants_side = bool(state.get("side", self._wants_side))
        self._wants_inspector = bool(state.get("inspector", self._wants_inspector))
        width = int(state.get("width", self._side_width))
        self._side_width = min(SIDE_MAX, max(SIDE_MIN, width))
        self._arrange()

    # Room

    @property
    def _width(self) -> int:
        if self.window() is self and not self.isVisible():
            # Not in its window yet: a panel that is taken out and put back is styled anew each time, with all in it.
            return ROOM_UNKNOWN
        return self.window().width()

    @property
    def _folds_inspector(self) -> bool:
        return self._width < FOLD_INSPECTOR * _growth()

    @property
    def _folds_side(self) -> bool:
        return self._width < FOLD_SIDE * _growth()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _resized_text(self) -> None:
        if self.inspector is not None:
            self.inspector.setFixedWidth(inspector_width())
        self._arrange()

    def _arrange(self) -> None:
        before = (self.is_side_shown, self.is_inspector_shown)
        if self.side is not None:
            self._place(
                self.side, folds=self._folds_side, wanted=self._wants_side, over=self._overlay_side, at=0
            )
        if self.inspector is not None:
            last = self.splitter.count()
            self._place(
                self.inspector,
                folds=self._folds_inspector,
                wanted=self._wants_inspector and self._offers_inspector,
                over=self._overlay_inspector and self._offers_inspector,
                at=last,
            )
        if self._opener is not None:
            self._opener.setVisible(self._offers_inspector and not self.is_inspector_shown)
        if not self._folds_side:
            self._overlay_side = False
        if not self._folds_inspector:
            self._overlay_inspector = False
        if before != (self.is_side_shown, self.is_inspector_shown):
            self.panes_changed.emit()

    def _place(self, edge: Edge, *, folds: bool, wanted: bool, over: bool, at: int) -> None:
        if folds:
            if self.splitter.indexOf(edge) >= 0:
                edge.setParent(self)
            edge.setVisible(over)
            if over:
                is_side = edge is self.side
                width = self._side_width if is_side else inspector_width()
                left = 0 if is_side else self.width() - width
                edge.setGeometry(left, 0, width, self.height())
                edge.raise_()
        else:
            if self.splitter.indexOf(edge) < 0:
                self.splitter.insertWidget(min(at, self.splitter.count()), edge)
                self._spread()
            if edge.isVisibleTo(self) != wanted:
                edge.setVisible(wanted)
                self._spread()

    def _spread(self) -> None:
        sizes: list[int] = []
        for at in range(self.splitter.count()):
            part = self.splitter.widget(at)
            sizes.append(
                self._side_width
                if part is self.side
                else inspector_width()
                if part is self.inspector
                else 10_000
            )
        self.splitter.setSizes(sizes)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress and (self._overlay_side or self._overlay_inspector):
            self.close_overlays()
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.close_overlays():
            return
        super().keyPressEvent(event)


def opener(page: str) -> QPushButton:
    """The button in a page's head that brings its inspector back; the frame shows it only while there is none."""
    made = icon_button("panel-right", _opener_name(page), "Show the inspector", keys="Ctrl I")
    made.hide()
    return made


def _opener_name(page: str) -> str:
    return f"{page}.showInspector"


def inspector_width() -> int:
    """An inspector's width in px: grows with the text up to a bound, then its words elide."""
    return min(INSPECTOR_MAX, look().px(INSPECTOR_WIDTH))


def _growth() -> float:
    """How much larger the window must be for panels beside each other at this text size."""
    return min(SCALE_FOLD_MAX, look().px(100) / 100)
