"""The Activity page: which lines there are under the filter, a window of them in hand, and what came since.

Lines are known by short keys, oldest first; the page shows them newest first. A page of rows is read when it is
looked at, and the oldest pages read are let go. While the reader stands below the newest line nothing moves: what
came waits in `pending` until the reader is back at the top or asks for it.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels.activity_query import Filter, query_of
from legion_core.api.activity_types import (
    ActivityHour,
    ActivityIndex,
    ActivityMark,
    ActivityQuery,
    ActivityRow,
)
from legion_core.api.routes import AttemptEnded
from legion_core.api.tasks import TaskAccepted, TaskFinished, TaskStarted, TaskWaits
from legion_core.api.types import AnswerEnded, Event

PAGE = 100
ROWS_KEPT = 4000
FIRST = 400  # so many lines are shown at once; the rest of a long list follows
NEWS_PAUSE_MS = 250
FIGURES_PAUSE = timedelta(seconds=5)
RECENT = 5000  # keys compared with what came, since a late request may be named twice
HOURS = 24


class ActivityViewModel(QObject):
    """See the module."""

    reset = Signal()
    """The list is another one."""
    grew = Signal(int)
    """So many lines came on top."""
    extended = Signal()
    """The older part of a long list is known now."""
    rows_changed = Signal()
    """Lines that may be in sight have other words."""
    pending_changed = Signal()
    figures_changed = Signal()
    filter_changed = Signal()
    live_changed = Signal()
    selected_changed = Signal()

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.activity")
        self._bridge = bridge
        self.now = now
        self.filter = Filter()
        self.keys: list[str] = []
        self.pending: list[str] = []
        self.hours: tuple[ActivityHour, ...] = ()
        self.is_loaded = False
        self.is_cut = False
        self.is_live = True
        self.is_held = False
        self.problem = ""
        self.selected = ""
        self._rows: OrderedDict[str, ActivityRow] = OrderedDict()
        self._keys_of: dict[str, str] = {}
        self._gone: set[str] = set()
        self._asked: set[int] = set()
        self._stale: set[str] = set()
        self._mark = ActivityMark()
        self._query = ActivityQuery()
        self._round = 0
        self._is_visited = False
        self._is_shown = True
        self._has_news = False
        self._changed: ActivityIndex | None = None
        self._is_asking = False
        self._figures_at: datetime | None = None
        self._pause = QTimer(self)
        self._pause.setObjectName("activity.news")
        self._pause.setSingleShot(True)
        self._pause.setInterval(NEWS_PAUSE_MS)
        self._pause.timeout.connect(self._ask_news)
        self._figures_pause = QTimer(self)
        self._figures_pause.setObjectName("activity.figures")
        self._figures_pause.setSingleShot(True)
        self._figures_pause.setInterval(FIGURES_PAUSE // timedelta(milliseconds=1))
        self._figures_pause.timeout.connect(self._figures_due)
        bridge.watch(
            self._on_facts, TaskAccepted, TaskStarted, TaskWaits, TaskFinished, AnswerEnded, AttemptEnded
        )
        bridge.lost.connect(self.refresh)

    # What is shown

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self.keys)

    def key_at(self, place: int) -> str:
        """The key of a line, counted from the newest."""
        return self.keys[-1 - place]

    def place_of(self, key: str) -> int:
        """Where a line stands, counted from the newest; -1 if it is not in the list."""
        try:
            return len(self.keys) - 1 - self.keys.index(key)
        except ValueError:
            return -1

    def row_at(self, place: int) -> ActivityRow | None:
        """A line, or None while it is read; asking for it has it read."""
        key = self.key_at(place)
        found = self._rows.get(key)
        if found is None and key not in self._gone:
            self._read(place // PAGE)
        return found

    def row(self, key: str) -> ActivityRow | None:
        """A line that is in hand."""
        return self._rows.get(key)

    @property
    def current(self) -> ActivityRow | None:
        """The selected line."""
        return self._rows.get(self.selected)

    @property
    def is_reading(self) -> bool:
        """Whether lines that were looked at are on their way."""
        return bool(self._asked)

    # What a person does

    def visit(self) -> None:
        """The page is shown for the first time."""
        if not self._is_visited:
            self._is_visited = True
            self.refresh()

    def set_shown(self, is_shown: bool) -> None:
        """Whether the page can be seen; a hidden one reads nothing."""
        if is_shown != self._is_shown:
            self._is_shown = is_shown
            if is_shown:
                self._ask_news()

    def show(self, wanted: Filter) -> None:
        """Narrow the list."""
        if wanted != self.filter:
            self.filter = wanted
            self.filter_changed.emit()
            self.refresh()

    def refresh(self) -> None:
        """Read the list anew."""
        if not self._is_visited:
            return
        self._round += 1
        number = self._round
        self._query = query_of(self.filter, self.now())
        query = self._query

        def done(found: ActivityIndex) -> None:
            if number != self._round:
                return
            self._take_all(found)
            if found.is_cut:
                self._bridge.launch("activity.index", lambda legion: legion.activity.index(query), rest)

        def rest(found: ActivityIndex) -> None:
            if number == self._round:
                self._take_rest(found)

        def failed(sentence: str) -> None:
            if number == self._round:
                self.problem = sentence
                self.is_loaded = True
                self.reset.emit()

        self._bridge.launch(
            "activity.first", lambda legion: legion.activity.index(query, limit=FIRST), done, failed
        )
        self._ask_figures(force=True)

    def select(self, key: str) -> None:
        """Fill the inspector with this line."""
        if key != self.selected:
            self.selected = key
            self.selected_changed.emit()

    def hold(self, is_held: bool) -> None:
        """The reader left the top, or came back to it."""
        if is_held != self.is_held:
            self.is_held = is_held
            if not is_held:
                self.take_pending()

    def set_live(self, is_live: bool) -> None:
        """Follow what happens, or stand still."""
        if is_live != self.is_live:
            self.is_live = is_live
            self.live_changed.emit()
            if is_live:
                self._has_news = True
                self._ask_news()
                self.take_pending()

    def take_pending(self) -> None:
        """Put what came on top."""
        if not self.is_live:
            return
        if self._changed is not None:
            found, self._changed, self.pending = self._changed, None, []
            self._replace(found)
            self.pending_changed.emit()
            return
        if not self.pending:
            return
        came, self.pending = self.pending, []
        self.keys += came
        self._asked = set()
        self.grew.emit(len(came))
        self.pending_changed.emit()

    # Reading

    def _take_all(self, found: ActivityIndex) -> None:
        self.problem = ""
        self.is_loaded = True
        self.keys = list(found.keys)
        self.pending = []
        self._changed = None
        self.is_cut = False
        self._mark = found.mark
        self._rows.clear()
        self._keys_of.clear()
        self._gone.clear()
        self._asked.clear()
        self._stale.clear()
        self.reset.emit()
        self.pending_changed.emit()

    def _take_rest(self, found: ActivityIndex) -> None:
        # Only what is older than the first lines: what came meanwhile comes by the usual way.
        first = self.keys[0] if self.keys else ""
        older = found.keys[: found.keys.index(first)] if first in found.keys else ()
        if older:
            self.keys = [*older, *self.keys]
            self.is_cut = found.is_cut
            self.extended.emit()

    def _read(self, page: int) -> None:
        if page in self._asked:
            return
        self._asked.add(page)
        last = len(self.keys) - page * PAGE
        keys = [key for key in self.keys[max(0, last - PAGE) : last] if key not in self._rows]
        number = self._round

        def done(rows: Sequence[ActivityRow]) -> None:
            self._asked.discard(page)
            if number == self._round:
                self._gone.update(set(keys) - {row.key for row in rows})
                self._keep(rows)

        def failed(sentence: str) -> None:
            self._gone.update(keys)
            self._bridge.refused.emit(sentence)

        self._bridge.launch("activity.rows", lambda legion: legion.activity.rows(keys), done, failed)

    def _keep(self, rows: Sequence[ActivityRow]) -> None:
        for row in rows:
            self._rows[row.key] = row
            self._rows.move_to_end(row.key)
            self._keys_of[row.id] = row.key
        while len(self._rows) > ROWS_KEPT:
            _, gone = self._rows.popitem(last=False)
            self._keys_of.pop(gone.id, None)
        self.rows_changed.emit()
        if any(row.key == self.selected for row in rows):
            self.selected_changed.emit()

    # What comes

    def _on_facts(self, facts: Sequence[Event]) -> None:
        if not self._is_visited:
            return
        for fact in facts:
            if isinstance(fact, TaskStarted | TaskWaits | TaskFinished):
                key = self._keys_of.get(fact.id)
                if key is not None:
                    self._stale.add(key)
        self._has_news = True
        if self.is_live and self._is_shown and not self._pause.isActive():
            self._pause.start()

    @property
    def _is_about_ends(self) -> bool:
        query = self._query
        return bool(query.states or query.took_min_s or query.cost_min_usd)

    def _ask_news(self) -> None:
        if not (self.is_live and self._is_shown) or self._is_asking or not (self._has_news or self._stale):
            return
        self._has_news = False
        self._is_asking = True
        number, query = self._round, self._query
        # What is old may come under the filter by its end: then the whole list is read again.
        mark = None if self._is_about_ends else self._mark
        stale, self._stale = [key for key in self._stale if key in self._rows][:1000], set[str]()

        async def look(legion: Any) -> tuple[ActivityIndex, Sequence[ActivityRow]]:
            found = await legion.activity.index(query, after=mark)
            return found, await legion.activity.rows(stale) if stale else ()

        def done(got: tuple[ActivityIndex, Sequence[ActivityRow]]) -> None:
            self._is_asking = False
            if number == self._round:
                self._take_news(*got)
            self._ask_figures()
            if self._has_news and self.is_live:
                self._pause.start()

        def failed(sentence: str) -> None:
            self._is_asking = False
            self._bridge.refused.emit(sentence)

        self._bridge.launch("activity.news", look, done, failed)

    def _take_news(self, found: ActivityIndex, rows: Sequence[ActivityRow]) -> None:
        self._mark = found.mark
        if rows:
            self._keep(rows)
        if self._is_about_ends:
            self._take_changed(found)
            return
        known = {*self.keys[-RECENT:], *self.pending}
        came = [key for key in found.keys if key not in known]
        if came:
            self.pending += came
            if self.is_held:
                self.pending_changed.emit()
            else:
                self.take_pending()

    def _take_changed(self, found: ActivityIndex) -> None:
        keys = list(found.keys)
        if keys == self.keys:
            self._changed, self.pending = None, []
        elif self.is_held:
            known = set(self.keys)
            self._changed, self.pending = found, [key for key in keys if key not in known]
        else:
            self._replace(found)
        self.pending_changed.emit()

    def _replace(self, found: ActivityIndex) -> None:
        self.keys, self.is_cut = list(found.keys), found.is_cut
        self._asked.clear()
        self.reset.emit()

    def _figures_due(self) -> None:
        if self._is_shown:
            self._ask_figures(force=True)

    def _ask_figures(self, *, force: bool = False) -> None:
        now = self.now()
        if not force and self._figures_at is not None and now - self._figures_at < FIGURES_PAUSE:
            if not self._figures_pause.isActive():
                self._figures_pause.start()
            return
        self._figures_at = now
        start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)

        def done(hours: tuple[ActivityHour, ...]) -> None:
            self.hours = hours
            self.figures_changed.emit()

        self._bridge.launch("activity.hours", lambda legion: legion.activity.hours(start, HOURS), done)
