# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The inspector of the Activity page: how it went and why, where the time went, what went in and came out."""

from collections.abc import Callable
from typing import Any

import msgspec
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.icons import paint_tier, pixmap
from app.theme.paint import pill, pill_size, text
from app.viewmodels import wording
from app.viewmodels.activity_detail import ActivityDetailViewModel, Detail
from app.viewmodels.activity_figures import figures_of, log_text
from app.viewmodels.activity_words import Words, reason_words, why_slow, words_of
from app.views.activity.well import Well
from app.views.painted import KeyValues
from app.views.parts import (
    ElidedLabel,
    Head,
    button,
    column,
    fill,
    frame,
    icon_button,
    label,
    line,
)
from app.views.scrolled import Scrolled
from app.widgets.flow import FlowLayout
from app.widgets.waterfall import WaterfallView


class Verdict(QWidget):
    """Name and state on one line."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("activity.verdict")
        self._words: Words | None = None
        self._name = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def show_words(self, words: Words, name: str) -> None:
        """Say it."""
        self._words, self._name = words, name
        self.setAccessibleName(f"{name}: {words.pill[0]}")
        self.setToolTip(name)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, look().px(20))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._words is None:
            return
        painter = QPainter(self)
        shown, tone, glyph = self._words.pill
        width, _ = pill_size(shown, icon=glyph)
        middle = self.height() / 2
        dpr = self.devicePixelRatioF()
        if self._words.tier:
            paint_tier(painter, self._words.tier, 0, round(middle - 7), 14)
        else:
            painter.drawPixmap(0, round(middle - 7), pixmap(self._words.icon, "text.secondary", 14, dpr))
        room = QRectF(21, 0, self.width() - width - 29, self.height())
        text(painter, room, self._name, "ui", weight=600, elide=Qt.TextElideMode.ElideMiddle)
        pill(painter, self.width() - width, middle, shown, tone, icon=glyph, dpr=dpr)  # type: ignore[arg-type]
        painter.end()


class ActivityInspector(QWidget):
    """Follows the selection of the list."""

    def __init__(
        self,
        details: ActivityDetailViewModel,
        open_chat: Callable[[str], None],
        show_key: Callable[[str], None],
        show_run: Callable[[str, str], None],
        close: Callable[[], None],
    ) -> None:
        super().__init__()
        self.setObjectName("activity.inspector")
        self.setAccessibleName("Details")
        self._details = details
        self._open_chat = open_chat
        self._show_run = show_run
        outer = column(self)
        head = Head(left=12, right=8, spacing=4)
        self.title = ElidedLabel("Details", "section", name="activity.title")
        self.json_button = button(
            "JSON", "activity.json", self._show_now, icon="braces", kind="ghost", small=True, tip="Show the raw record"
        )  # fmt: skip
        self.json_button.setCheckable(True)
        self.copy_button = icon_button(
            "copy", "activity.copyRecord", "Copy the raw record", self._copy, small=True
        )
        head.add(
            self.title, None, self.copy_button, self.json_button,
            icon_button("x", "activity.closeInspector", "Close the inspector", close, small=True, keys="Ctrl I"),
        )  # fmt: skip
        outer.addWidget(head)
        self._empty = label(
            "Choose a line to see how it went, why, and where the time went.", "small", "tertiary", wraps=True
        )
        self._empty.setContentsMargins(12, 12, 12, 12)
        outer.addWidget(self._empty)
        self._scroll = Scrolled(
            self._make_body(show_key), "activity.details", "Details of the line", is_focusable=True
        )
        outer.addWidget(self._scroll, 1)
        self.raw = Well("activity.raw", "Raw record", lines_max=10_000)
        self.raw.setProperty("role", "page")
        outer.addWidget(self.raw, 1)
        outer.addStretch()
        details.changed.connect(self._show)
        self._show()

    def _make_body(self, show_key: Callable[[str], None]) -> QWidget:
        body = frame("scrolled")
        layout = column(body)
        self.verdict = Verdict()
        self.reason = label("", "small", wraps=True, name="activity.reason", selectable=True)
        self.slow = label("", "small", "secondary", wraps=True, name="activity.slow")
        self.retry_button = button(
            "Try again", "activity.retry", self._details.retry, icon="rotate-ccw", small=True, tip="Queue it again from its first try"
        )  # fmt: skip
        self.cancel_button = button(
            "Cancel", "activity.cancel", self._details.cancel, icon="square", small=True, tip="End this task"
        )
        self.chat_button = button(
            "Open chat", "activity.openChat", self._chat, icon="message-square", small=True
        )
        self.run_button = button(
            "Show all of the run", "activity.showRun", self._run, icon="workflow", small=True
        )
        self.id_button = button("Copy id", "activity.copyId", self._copy_id, icon="copy", small=True)
        self._buttons = QWidget()
        flow = FlowLayout(self._buttons)
        for made in (
            self.retry_button,
            self.cancel_button,
            self.chat_button,
            self.run_button,
            self.id_button,
        ):
            flow.addWidget(made)
        top = column(margins=(12, 12, 12, 12), spacing=6)
        fill(top, self.verdict, self.reason, self.slow, 2, self._buttons)
        layout.addLayout(top)
        self._parts: dict[str, list[QWidget]] = {}
        self.fall = WaterfallView("activity.waterfall", "Where the time went")
        self.run_fall = WaterfallView("activity.runWaterfall", "The whole run")
        self.run_fall.chosen.connect(show_key)
        self.figures = KeyValues("activity.figures")
        self.args, self.result = Well("activity.args", "Arguments"), Well("activity.result", "Result")
        self.log = Well("activity.log", "Log")
        self._captions: dict[str, Any] = {}
        for key, words, part, edge in (
            ("fall", "Where the time went", self.fall, 12), ("run", "The whole run", self.run_fall, 12),
            ("figures", "Figures", self.figures, 0), ("args", "Arguments", self.args, 12),
            ("result", "Result", self.result, 12), ("log", "Log", self.log, 12),
        ):  # fmt: skip
            rule, caption = line(), self._caption(words)
            holder = QWidget()
            column(holder, (edge, 2, edge, 12 if edge else 4)).addWidget(part)
            self._parts[key] = [rule, caption, holder]
            self._captions[key] = caption
            fill(layout, rule, caption, holder)
        layout.addStretch(1)
        return body

    # What is shown

    def _show_now(self) -> None:
        self._show()

    def _show(self) -> None:
        detail = self._details.detail
        is_raw = self.json_button.isChecked() and detail is not None
        self._empty.setVisible(detail is None)
        self._scroll.setVisible(detail is not None and not is_raw)
        for part in (self.json_button, self.copy_button):
            part.setVisible(detail is not None)
        self.raw.show_text(detail.raw_json if detail is not None and is_raw else "")
        if detail is None:
            self.title.set_words("Details")
            return
        row_, now = detail.row, self._details.now()
        words = words_of(row_, now)
        self.title.set_words(f"{'Task' if row_.kind == 'task' else 'Request'} {_short(row_.id)}")
        name = (
            row_.task
            if row_.kind == "task"
            else " / ".join(p for p in (row_.instance, row_.model) if p) or "No model"
        )
        self.verdict.show_words(words, name)
        reason = reason_words(row_, now)
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))
        slow = why_slow(row_)
        self.slow.setText(slow)
        self.slow.setVisible(bool(slow))
        self.retry_button.setVisible(detail.can_retry)
        self.cancel_button.setVisible(detail.can_cancel)
        self.chat_button.setVisible(bool(row_.conversation) and row_.has_chat)
        self.run_button.setVisible(len(detail.hops) > 1)
        self._show_falls(detail)
        self.figures.show_pairs(figures_of(detail, now))
        task = detail.task
        self._say("args", self.args, _json(task.args) if task is not None and task.args else "")
        self._say(
            "result", self.result, _json(task.result) if task is not None and task.result is not None else ""
        )
        self._say("log", self.log, log_text(detail.lines, now))

    def _show_falls(self, detail: Detail) -> None:
        fall, run = self._details.waterfall, self._details.run_fall
        self.fall.show_rows(fall.rows, fall.total_s)
        self._captions["fall"].setText(f"Where the time went, {wording.duration(fall.total_s)}")
        self._toggle("fall", bool(fall.rows))
        what = "The whole run" if detail.row.run else "Started together"
        more = f", {run.more} more not drawn" if run.more else ""
        self.run_fall.show_rows(run.rows, run.total_s, detail.row.key)
        self._captions["run"].setText(f"{what}, {wording.plural(len(detail.hops), 'task')}{more}")
        self._toggle("run", bool(run.rows))

    def _say(self, key: str, well: Well, words: str) -> None:
        well.show_text(words)
        self._toggle(key, bool(words))

    def _toggle(self, key: str, is_shown: bool) -> None:
        for part in self._parts[key]:
            part.setVisible(is_shown)

    # What a person does

    def _chat(self) -> None:
        if self._details.detail is not None:
            self._open_chat(self._details.detail.row.conversation)

    def _run(self) -> None:
        if self._details.detail is not None:
            row_ = self._details.detail.row
            self._show_run(*(("run", row_.run) if row_.run else ("started-by", row_.root)))

    def _copy_id(self) -> None:
        if self._details.detail is not None:
            QGuiApplication.clipboard().setText(self._details.detail.row.id)

    def _copy(self) -> None:
        if self._details.detail is not None:
            QGuiApplication.clipboard().setText(self._details.detail.raw_json)

    def _caption(self, words: str) -> Any:
        made = label(words, "caption", "tertiary")
        made.setContentsMargins(12, 12, 12, 4)
        return made


def _short(task_id: str) -> str:
    kind, _, rest = task_id.partition("_")
    return f"…{rest[-8:]}" if len(rest) > 10 else rest or kind


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
