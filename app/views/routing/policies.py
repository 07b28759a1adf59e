"""The Policies tab: what is in force, with the switch that changes it, and the order in which tiers are tried."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from app.viewmodels.settings import SettingsViewModel
from app.views.parts import column, fill, frame, label, row
from app.views.settings.fields import FieldRow

WIDTH = 720
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("In force for every request", ("Privacy", "Routing")),
    ("Budgets", ("Budget",)),
)
NEW_CHATS = ("chat.model", "chat.tier_max")
ORDER = (
    "Local, then Direct, Fleet, Cloud and Frontier: the nearest tier that is able answers. Within a tier the lower "
    "price comes first, an unknown price last, then what was measured to be faster. A failure goes on to the "
    "next one; after the first words it continues the same sentence there, and a thin line marks the place."
)


class PoliciesTab(QWidget):
    """Every setting that decides where a request may go, as the schema has it."""

    def __init__(self, settings: SettingsViewModel) -> None:
        super().__init__()
        self.setObjectName("routing.policies")
        self._settings = settings
        self.rows: dict[str, FieldRow] = {}
        outer = column(self)
        self._scroll = QScrollArea()
        self._scroll.setObjectName("policies.scroll")
        self._scroll.setAccessibleName("Policies")
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer.addWidget(self._scroll)
        body = frame("scrolled")
        holder = column(body, (24, 12, 24, 24))
        centre = QWidget()
        centre.setMaximumWidth(WIDTH)
        middle = row()
        middle.addStretch(1)
        middle.addWidget(centre, 1000)
        middle.addStretch(1)
        holder.addLayout(middle)
        holder.addStretch(1)
        self._box: QVBoxLayout = column(centre)
        self._scroll.setWidget(body)
        settings.changed.connect(self.refresh)
        settings.value_changed.connect(self._show_value)
        self.refresh()

    def refresh(self) -> None:
        """The rows the schema has now; made once, then kept true."""
        plan = self._plan()
        wanted = [key for _, keys in plan for key in keys]
        if wanted == list(self.rows):
            for made in self.rows.values():
                made.show_value()
            return
        while (item := self._box.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self.rows = {}
        for title, keys in plan:
            if keys:
                self._box.addWidget(_title(title))
            for key in keys:
                made = self.rows[key] = FieldRow(self._settings, key)
                self._box.addWidget(made)
        order = label(ORDER, "small", "secondary", wraps=True)
        order.setContentsMargins(12, 4, 12, 12)
        fill(self._box, _title("Order"), order, None)

    def _plan(self) -> list[tuple[str, list[str]]]:
        """Which settings stand under which title."""
        rows = self._settings.rows
        plan = [
            (title, [row.key for group in groups for row in rows if row.group == group])
            for title, groups in SECTIONS
        ]
        return [*plan, ("For new chats", [key for key in NEW_CHATS if self._settings.row(key) is not None])]

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The first control."""
        first = next(iter(self.rows.values()), None)
        (first.control if first is not None else self._scroll).setFocus(reason)

    def _show_value(self, key: str) -> None:
        if key in self.rows:
            self.rows[key].show_value()


def _title(words: str) -> QWidget:
    made = label(words, "section")
    made.setContentsMargins(12, 16, 12, 4)
    return made
