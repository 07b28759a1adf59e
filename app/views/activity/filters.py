"""The filter bar of the Activity page: a field of tokens, which kinds, and menus for state, time and saved views."""

from collections.abc import Callable

from PySide6.QtCore import QPoint, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QMenu, QWidget

from app.theme.apply import look
from app.theme.icons import icon
from app.viewmodels.activity import ActivityViewModel
from app.viewmodels.activity_query import VIEWS, Filter, parse
from app.viewmodels.activity_words import TASK_PILLS
from app.views.parts import MenuButton, bind, fill, row
from app.widgets.segmented import Segmented
from app.widgets.token_field import TokenField

TYPING_PAUSE_MS = 180
KINDS = (("", "All"), ("task", "Tasks"), ("request", "Requests"))
STATES = (
    ("", "Any state", "list"),
    ("running", "Running", "loader"),
    ("waiting", "Waiting", "clock"),
    ("succeeded", "Done", "circle-check"),
    ("failed", "Failed", "circle-x"),
    ("skipped", "Skipped", "circle-minus"),
    ("cancelled", "Cancelled", "circle-minus"),
)
TIMES = (
    ("", "Any time"),
    ("1h", "Last hour"),
    ("today", "Today"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
)
SEGMENTS_FROM, MENUS_FROM = 760, 560


class FilterBar(QWidget):
    """Writes the filter of the view-model and shows it."""

    def __init__(self, activity: ActivityViewModel, go_down: Callable[[], None]) -> None:
        super().__init__()
        self._activity = activity
        self.setObjectName("activity.filters")
        self.setAccessibleName("Filter")
        layout = row(self, (16, 8, 12, 8), 6)
        self.field = TokenField("activity.filter", "Filter, as in status:failed took:>5s words", "Ctrl F")
        self.field.typed.connect(self._typed)
        self.field.finished.connect(self._finish)
        self.field.chip_removed.connect(self._remove)
        self.field.chip_taken_back.connect(self._take_back)
        self.field.left.connect(go_down)
        self.kinds = Segmented(KINDS, "Kind", small=True)
        self.kinds.setObjectName("activity.kinds")
        self.kinds.changed.connect(self._kind)
        self.states = MenuButton("Any state", "activity.states", "list-filter", "Which states")
        self.states.clicked.connect(self._open_states)
        self.times = MenuButton("Any time", "activity.times", "clock", "Since when")
        self.times.clicked.connect(self._open_times)
        self.views = MenuButton("Views", "activity.views", "bookmark", "Filters with a name")
        self.views.clicked.connect(self._open_views)
        fill(layout, self.field, self.kinds, self.states, self.times, self.views)
        layout.setStretch(0, 1)
        self._pause = QTimer(self)
        self._pause.setObjectName("activity.typing")
        self._pause.setSingleShot(True)
        self._pause.setInterval(TYPING_PAUSE_MS)
        self._pause.timeout.connect(self._use_words)
        activity.filter_changed.connect(self._show)
        self._show()

    # The field

    def _typed(self, words: str) -> None:
        if words.endswith(" "):
            self._use_words()
        else:
            self._pause.start()

    def _use_words(self) -> None:
        self._pause.stop()
        typed = self.field.line.text()
        # The word that is being typed is no token yet: `status:fail` must not narrow to nothing on its way.
        done, last = (
            (typed, "") if typed.endswith(" ") else (typed.rpartition(" ")[0], typed.rpartition(" ")[2])
        )
        found = parse(done, self._activity.filter.tokens)
        words = f"{found.words} {'' if ':' in last else last}".strip()
        self._activity.show(Filter(tokens=found.tokens, words=words))
        if len(found.tokens) != len(self.field.chips()) or found.tokens != self._activity.filter.tokens:
            self._show()

    def _finish(self) -> None:
        self._pause.stop()
        self._activity.show(parse(self.field.line.text(), self._activity.filter.tokens))
        self._show()

    def _remove(self, chip: str) -> None:
        held = self._activity.filter
        self._activity.show(
            Filter(tokens=tuple(token for token in held.tokens if token.text != chip), words=held.words)
        )

    def _take_back(self, chip: str) -> None:
        held = self._activity.filter
        self._remove(chip)
        self.field.line.setText(f"{chip} {held.words}".strip())
        self.field.line.setCursorPosition(len(chip))

    # The buttons

    def _kind(self, key: str) -> None:
        self._activity.show(self._activity.filter.with_field("kind", *((key,) if key else ())))

    def _open_states(self) -> None:
        chosen = self._activity.filter.values("status")
        menu = self._menu("activity.statesMenu")
        for key, words, glyph in STATES:
            is_on = key in chosen if key else not chosen
            # An icon takes the place of the check mark, so the mark is an icon too.
            action = menu.addAction(
                icon("check" if is_on else glyph, "accent.text" if is_on else "text.secondary"), words
            )
            action.setObjectName(f"activity.state.{key or 'any'}")
            action.setCheckable(True)
            action.setChecked(is_on)
            action.triggered.connect(bind(self._state, key))
        self._popup(menu, self.states)

    def _state(self, key: str) -> None:
        chosen = self._activity.filter.values("status")
        if not key:
            wanted: tuple[str, ...] = ()
        elif key in chosen:
            wanted = tuple(value for value in chosen if value != key)
        else:
            wanted = (*chosen, key)
        self._activity.show(self._activity.filter.with_field("status", *wanted))

    def _open_times(self) -> None:
        chosen = self._activity.filter.values("since")
        menu = self._menu("activity.timesMenu")
        for key, words in TIMES:
            is_on = key in chosen if key else not chosen
            action = menu.addAction(
                icon("check" if is_on else "clock", "accent.text" if is_on else "text.secondary"), words
            )
            action.setObjectName(f"activity.time.{key or 'any'}")
            action.setCheckable(True)
            action.setChecked(is_on)
            action.triggered.connect(bind(self._since, key))
        self._popup(menu, self.times)

    def _since(self, key: str) -> None:
        self._activity.show(self._activity.filter.with_field("since", *((key,) if key else ())))

    def _open_views(self) -> None:
        menu = self._menu("activity.viewsMenu")
        for view in VIEWS:
            action = menu.addAction(icon(view.icon), view.title)
            action.setObjectName(f"activity.view.{view.key}")
            action.triggered.connect(bind(self.show_view, view.key))
        self._popup(menu, self.views)

    def show_view(self, key: str) -> None:
        """Use a filter that has a name."""
        self._activity.show(parse(next(view.text for view in VIEWS if view.key == key)))

    def _menu(self, name: str) -> QMenu:
        menu = QMenu(self)
        menu.setObjectName(name)
        menu.aboutToHide.connect(menu.deleteLater)
        return menu

    def _popup(self, menu: QMenu, under: QWidget) -> None:
        menu.popup(under.mapToGlobal(QPoint(0, under.height() + 2)))

    # What is shown

    def _show(self) -> None:
        held = self._activity.filter
        typed = self.field.line.text()
        unfinished = (
            typed.rpartition(" ")[2] if ":" in typed.rpartition(" ")[2] and self.field.line.hasFocus() else ""
        )
        words = (
            held.words
            if unfinished == "" or unfinished in held.words
            else f"{held.words} {unfinished}".strip()
        )
        self.field.show_filter(tuple(token.text for token in held.tokens), words)
        kinds = held.values("kind")
        self.kinds.choose(
            {"task": "task", "request": "request"}.get(kinds[0].rstrip("s"), "") if len(kinds) == 1 else ""
        )
        states = held.values("status")
        titles = {key: words for key, words, _ in STATES}
        one = titles.get(states[0]) or TASK_PILLS.get(states[0], ("State",))[0] if len(states) == 1 else ""
        self.states.set_words("Any state" if not states else one or f"{len(states)} states")
        since = held.values("since")
        self.times.set_words(dict(TIMES).get(since[0], "Since") if since else "Any time")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is no room, the buttons go: the field says all they say."""
        super().resizeEvent(event)
        scale = look().px(100) / 100
        self.kinds.setVisible(self.width() >= SEGMENTS_FROM * scale)
        for part in (self.states, self.times):
            part.setVisible(self.width() >= MENUS_FROM * scale)
