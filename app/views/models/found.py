"""Model servers found on this computer, each with the button that adds it; hidden while there is nothing to offer."""

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from app.viewmodels import wording
from app.viewmodels.providers import FoundRow, ProvidersViewModel
from app.views.parts import ElidedLabel, bind, button, column, fill, label, line, row

LOOKING = "Looking for model servers on this computer…"


class FoundServers(QFrame):
    """Follows the view-model: looking, what is there to be added, or that nothing is."""

    def __init__(self, providers: ProvidersViewModel, ask_key: Callable[[str], None]) -> None:
        """`ask_key` opens the form for a server's address that wants a key first."""
        super().__init__()
        self._ask_key = ask_key
        self.setObjectName("models.found")
        self.setProperty("role", "side")
        self.setAccessibleName("Found on this computer")
        self._providers = providers
        layout = column(self)
        self.words = label("", "small", "tertiary", name="models.foundWords")
        head = row(margins=(16, 8, 12, 4), spacing=8)
        self._title = label("Found on this computer", "section")
        fill(head, self._title, self.words, None)
        layout.addLayout(head)
        self._box = column(margins=(0, 0, 0, 8))
        layout.addLayout(self._box)
        layout.addWidget(line("lineNormal"))
        providers.found_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """What was found."""
        providers = self._providers
        proposals = providers.proposals
        self.setVisible(providers.has_looked and (providers.is_finding or bool(proposals)))
        self.words.setText(
            LOOKING if providers.is_finding else "Added with one click; nothing leaves this computer."
        )
        while (item := self._box.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for proposal in proposals:
            self._box.addWidget(self._row(proposal))

    def _row(self, found: FoundRow) -> QWidget:
        made = QWidget()
        is_adding = found.base_url in self._providers.adding
        title = f"{found.title} {found.version}".strip()
        told = f"{found.base_url}, {wording.plural(len(found.models), 'model')}"
        if found.needs_key:
            told = f"{found.base_url}, wants a key"
        add = button(
            "Adding" if is_adding else "Add…" if found.needs_key else "Add",
            f"found.{found.name}.add",
            bind(self._ask_key if found.needs_key else self._providers.add_found, found.base_url),
            icon="plus",
            small=True,
            tip=f"Add {title} as {found.name}",
        )
        add.setAccessibleName(f"Add {title}, {told}")
        add.setEnabled(not is_adding)
        models = ", ".join(map(_short, found.models[:3])) + (
            f" and {len(found.models) - 3} more" if len(found.models) > 3 else ""
        )
        add.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        layout = row(made, (16, 3, 12, 3), 12)
        fill(layout, label(title, "uiStrong"), ElidedLabel(told, "small", "secondary"))
        if models:
            layout.addWidget(ElidedLabel(models, "small", "tertiary"))
        fill(layout, None, add)
        return made


def _short(model: str) -> str:
    """A server that was started with a file calls its model by the file's whole path."""
    return model.rpartition("/")[2] if model.startswith("/") else model
