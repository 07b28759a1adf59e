# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The inspector of curation: sent and without, what each strategy did, and what the model will see."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from app.theme.apply import look
from app.viewmodels import wording
from app.viewmodels.curation import CurationViewModel, EditLine, Part
from app.views.chat.curation_meter import Bar
from app.views.parts import (
    ElidedLabel,
    Head,
    bind,
    button,
    column,
    fill,
    frame,
    icon_button,
    label,
    line,
    row,
)
from app.widgets.switch import Switch

PARTS_SHOWN = 12  # each is some widgets; all of them are in the full view
EDITS_SHOWN = 12
WORDS_SHOWN = 180
LABEL_PX = 56


class PartRow(QWidget):
    """A message that the model sees otherwise: what left it struck out, what stands there now below."""

    def __init__(self, part: Part, keep: Callable[[str], None]) -> None:
        super().__init__()
        self.setObjectName("curation.part")
        self.setAccessibleName(f"{part.fate}: {_line(part.after or part.before)}")
        struck = ElidedLabel(_line(part.before), "small", "tertiary")
        font = struck.font()
        font.setStrikeOut(True)
        struck.setFont(font)
        head = row(spacing=4)
        kept = button(
            "Keep", "curation.keep", bind(keep, part.message_id), kind="ghost", small=True,
            tip="Send this message as it was said, from the next question on",
        )  # fmt: skip
        kept.setAccessibleName(f"Keep: {part.who}")
        fill(head, label(part.fate, "caption", "tertiary"), None, kept)
        layout = column(self, (10, 6, 6, 8), 2)
        layout.addLayout(head)
        layout.addWidget(struck)
        if part.after:
            layout.addWidget(label(_line(part.after), "small", wraps=True))


class EditRow(QWidget):
    """One edit that was made, and the way to take it back."""

    def __init__(self, edit: EditLine, undo: Callable[[int], None]) -> None:
        super().__init__()
        self.setObjectName("curation.edit")
        what = f"{edit.title}: {edit.note}" if edit.note else edit.title
        self.setAccessibleName(f"{what}, {edit.saved} tokens{', taken back' if edit.is_undone else ''}")
        words = column(spacing=0)
        fill(words, ElidedLabel(edit.note or edit.title, "small"), label(edit.title, "caption", "tertiary"))
        inside = row(self, (10, 4, 6, 4), 6)
        inside.addLayout(words, 1)
        inside.addWidget(label(edit.saved, "small", "tertiary" if edit.is_undone else "secondary"))
        if edit.is_undone:
            inside.addWidget(label("taken back", "caption", "tertiary"))
            return
        back = button(
            "Undo", "curation.undoEdit", bind(undo, edit.number), kind="ghost", small=True,
            tip="Give back what this edit took, and leave it alone from now on",
        )  # fmt: skip
        back.setAccessibleName(f"Undo: {what}")
        inside.addWidget(back)


class CurationPanel(QWidget):
    """Bound to the view-model; the parts are asked for only while it is shown."""

    def __init__(self, model: CurationViewModel, close: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("curation")
        self.setAccessibleName("Curation")
        self._model = model
        outer = column(self)
        head = Head(left=12, right=8, spacing=4)
        self.undo_button = button(
            "Undo", "curation.undo", model.undo, icon="undo-2", kind="ghost", small=True,
            tip="Give back what the latest edit took",
        )  # fmt: skip
        head.add(
            ElidedLabel("Curation", "section"), None, self.undo_button,
            icon_button("x", "curation.close", "Close the inspector", close, small=True, keys="Ctrl I"),
        )  # fmt: skip
        outer.addWidget(head)
        scroll = QScrollArea()
        scroll.setObjectName("curation.scroll")
        scroll.setAccessibleName("What curation did")
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer.addWidget(scroll, 1)
        body = frame("scrolled")
        layout = column(body)
        layout.addLayout(self._figures())
        layout.addWidget(line())
        self._lines: QVBoxLayout = column()
        layout.addLayout(self._lines)
        caption = row(margins=(12, 12, 8, 4))
        self.full_button = button("Open full view", "curation.full", self.open_full, kind="link", small=True)
        fill(caption, label("What the model sees", "caption", "tertiary"), None, self.full_button)
        layout.addLayout(caption)
        self._none = label("Everything, word for word.", "small", "tertiary", wraps=True)
        self._none.setContentsMargins(12, 0, 12, 8)
        layout.addWidget(self._none)
        self._parts: QVBoxLayout = column(margins=(4, 0, 4, 8))
        layout.addLayout(self._parts)
        done = row(margins=(12, 8, 8, 4))
        self.epoch_button = button(
            "", "curation.undoEpoch", model.undo_epoch, kind="link", small=True,
            tip="Give back all that the latest round of edits took",
        )  # fmt: skip
        self._done_caption = label("What was done", "caption", "tertiary")
        fill(done, self._done_caption, None, self.epoch_button)
        layout.addLayout(done)
        self._edits: QVBoxLayout = column(margins=(4, 0, 4, 8))
        layout.addLayout(self._edits)
        foot = label(
            "What left the view is kept word for word, and comes back by Keep and Undo.",
            "small",
            "tertiary",
            wraps=True,
        )
        foot.setContentsMargins(12, 4, 12, 12)
        layout.addWidget(foot)
        layout.addStretch(1)
        scroll.setWidget(body)
        model.changed.connect(self._say)
        model.seen_changed.connect(self._say_parts)
        look().theme_changed.connect(self.update)
        self._say()
        self._say_parts()

    def _figures(self) -> QVBoxLayout:
        self.switch = Switch("Curate this chat")
        self.switch.setObjectName("curation.switch")
        self.switch.clicked.connect(bind(self._toggle))
        self._sent, self._without = Bar("curation.sentBar"), Bar("curation.withoutBar")
        self._sent_count = label("", "small", name="curation.sentCount")
        self._without_count = label("", "small", name="curation.withoutCount")
        self._sentence = label("", "small", "secondary", wraps=True, name="curation.sentence")
        made: QVBoxLayout = column(margins=(12, 10, 12, 10), spacing=6)
        switch = row(spacing=8)
        fill(switch, label("Curate this chat", "ui"), None, self.switch)
        made.addLayout(switch)
        for words, bar, count in (
            ("Sent", self._sent, self._sent_count),
            ("Without", self._without, self._without_count),
        ):
            name = label(words, "small", "secondary")
            name.setFixedWidth(look().px(LABEL_PX))
            one = row(spacing=6)
            fill(one, name)
            one.addWidget(bar, 1)
            one.addWidget(count)
            made.addLayout(one)
        made.addWidget(self._sentence)
        return made

    def _say(self) -> None:
        if not self._model.parts:
            self._say_parts()
        told, share = self._model.meter, self._model.share
        self.switch.setChecked(told is None or told.is_on)
        self.switch.setEnabled(told is not None)
        naive = told.naive_tokens if told is not None else 0
        sent = told.curated_tokens if told is not None and told.is_on else naive
        self._sent.show_parts([(1 - share, "data.3")], f"Sent: about {naive and sent:,} tokens")
        self._without.show_parts([(1.0, "data.1")], f"Without curation: about {naive:,} tokens")
        self._sent_count.setText(wording.short_count(sent) if naive else "")
        self._without_count.setText(wording.short_count(naive) if naive else "")
        counted = (
            "Counted by length, without system text and tools." if naive else "A short chat is sent whole."
        )
        self._sentence.setText(f"{self._model.headline}. {counted}")
        _clear(self._lines)
        for each in self._model.lines:
            one = QWidget()
            one.setAccessibleName(each.spoken)
            words = column(spacing=0)
            fill(words, label(each.title, "ui"), label(each.detail, "small", "tertiary"))
            inside = row(one, (12, 6, 12, 6), 8)
            inside.addLayout(words, 1)
            inside.addWidget(label(each.saved, "ui", "" if each.saved != "0" else "tertiary"))
            self._lines.addWidget(one)
            self._lines.addWidget(line())

    def _say_parts(self) -> None:
        found = self._model.curated
        _, count = self._model.last_epoch
        self.epoch_button.setText(f"Undo the last {count}")
        self.epoch_button.setVisible(count > 1)
        self._done_caption.setVisible(bool(self._model.edits))
        _clear(self._edits)
        for edit in self._model.edits[: -EDITS_SHOWN - 1 : -1]:
            self._edits.addWidget(EditRow(edit, self._model.undo_edit))
        self.undo_button.setEnabled(bool(self._model.last_edit))
        self.full_button.setEnabled(bool(self._model.parts))
        # Until the parts are here it is only known that there are some.
        is_loading = not self._model.parts and bool(self._model.share)
        self._none.setText("Being compared…" if is_loading else "Everything, word for word.")
        self._none.setVisible(not found)
        _clear(self._parts)
        for part in found[-PARTS_SHOWN:]:
            self._parts.addWidget(PartRow(part, self._model.keep))
            self._parts.addWidget(line())
        if len(found) > PARTS_SHOWN:
            more = label(
                f"{len(found) - PARTS_SHOWN} earlier ones are in the full view.", "small", "tertiary"
            )
            more.setContentsMargins(10, 4, 10, 4)
            self._parts.addWidget(more)

    def open_full(self) -> None:
        """All of it, as it was said and as the model will see it."""
        from app.views.chat.seen_dialog import SeenDialog

        SeenDialog(self._model, self.window()).open()

    def _toggle(self) -> None:
        self._model.set_on(self.switch.isChecked())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._model.watch(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._model.watch(False)


def _line(words: str) -> str:
    """One line, cut where nobody reads on."""
    flat = " ".join(words[: 4 * WORDS_SHOWN].split())
    return flat if len(flat) <= WORDS_SHOWN else f"{flat[:WORDS_SHOWN].rstrip()}…"


def _clear(layout: QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (old := item.widget()) is not None:
            old.hide()
            old.deleteLater()
