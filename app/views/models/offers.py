"""The inspector of the Discover tab: one model that can be had, whether it would fit, and the button that gets it."""

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from app.viewmodels import wording
from app.viewmodels.models import FIT_WORDS, ModelsViewModel, estimate
from app.views.painted import KeyValues, PillRow
from app.views.parts import ElidedLabel, Head, button, column, fill, icon_button, label, line, row


class OfferInspector(QWidget):
    """Follows the list of offers."""

    def __init__(self, models: ModelsViewModel, close: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("offer.inspector")
        self.setAccessibleName("Model to download")
        self._models = models
        self.name = ""
        outer = column(self)
        self._head = Head(left=12, right=8, spacing=4)
        self.title = ElidedLabel("", "section")
        self._head.add(
            self.title,
            None,
            icon_button("x", "offer.close", "Close the inspector", close, small=True, keys="Ctrl I"),
        )
        outer.addWidget(self._head)
        top = column(margins=(12, 12, 12, 12), spacing=10)
        self.pills = PillRow("offer.pills")
        self.about = label("", "small", "secondary", wraps=True)
        self.get = button(
            "Download", "offer.get", lambda: models.pull(self.name), icon="download", kind="primary"
        )
        buttons = row(spacing=6)
        fill(buttons, self.get, None)
        fill(top, self.pills, self.about, buttons)
        outer.addLayout(top)
        outer.addWidget(line())
        self.facts = KeyValues("offer.facts")
        self.note = label(
            "The fit is an estimate by size: weights, a tenth for cache and buffers, 300 MB for the process. "
            "The exact arithmetic comes with the file.",
            "small", "tertiary", wraps=True,
        )  # fmt: skip
        self.note.setContentsMargins(12, 8, 12, 12)
        fill(outer, self.facts, line(), self.note, None)
        models.downloads_changed.connect(self.refresh)

    def show_offer(self, name: str) -> None:
        """Show this one."""
        self.name = name
        self.refresh()

    def refresh(self) -> None:
        """As it is now."""
        offer = next((found for found in self._models.catalogue if found.name == self.name), None)
        self.get.setVisible(offer is not None)
        if offer is None:
            self.title.set_words("No model chosen")
            return
        self.title.set_words(offer.title)
        fit = FIT_WORDS.get(estimate(offer, self._models.hardware))
        is_here = any(row_.name == offer.name for row_ in self._models.all_rows)
        running = next(
            (found for found in self._models.downloads if found.name == offer.name and found.is_active), None
        )
        pills = [("Installed", "ok", "circle-check")] if is_here else []
        if fit is not None:
            pills.append((f"Estimate: {fit[0].lower()}", fit[1], fit[2]))
        self.pills.show_pills(*pills)
        self.about.setText(offer.about)
        self.get.setEnabled(not is_here and running is None)
        self.get.setText(
            "Downloading"
            if running
            else "Installed"
            if is_here
            else f"Download {wording.size(offer.size_bytes_about)}"
        )
        self.get.setAccessibleName(f"{self.get.text()}: {offer.title}")
        self.facts.show_pairs(
            (
                ("Weights", wording.parameters(offer.parameters_about)),
                ("Quantisation", offer.quantisation),
                ("Context at most", wording.count(offer.context_max)),
                ("Licence", wording.licence(offer.licence)),
                ("From", offer.url.split("/")[2]),
                (
                    "SHA-256",
                    f"{offer.sha256[:4]}…{offer.sha256[-4:]}" if offer.sha256 else "length and header only",
                ),
            )
        )
