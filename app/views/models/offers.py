"""The inspector of the Discover tab: one model that can be had, whether it would fit, and the button that gets it."""

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QWidget

from app.viewmodels import wording
from app.viewmodels.models import FIT_WORDS, ModelsViewModel, estimate
from app.views.painted import KeyValues, PillRow
from app.views.parts import ElidedLabel, Head, button, column, fill, icon_button, label, line, row

RESERVE_BYTES = 256 * 1024 * 1024  # stays free beside a download, as the engine wants it


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
        self._body = QWidget()
        body = column(self._body)
        top = column(margins=(12, 12, 12, 12), spacing=10)
        self.pills = PillRow("offer.pills")
        self.about = label("", "small", "secondary", wraps=True)
        self.get = button(
            "Download", "offer.get", lambda: models.pull(self.name), icon="download", kind="primary"
        )
        buttons = row(spacing=6)
        fill(buttons, self.get, None)
        fill(top, self.pills, self.about, buttons)
        body.addLayout(top)
        body.addWidget(line())
        self.facts = KeyValues("offer.facts")
        self.note = label(
            "The fit is an estimate by size: weights, a tenth for cache and buffers, 300 MB for the process. "
            "The exact arithmetic comes with the file.",
            "small", "tertiary", wraps=True,
        )  # fmt: skip
        self.note.setContentsMargins(12, 8, 12, 12)
        fill(body, self.facts, line(), self.note)
        fill(outer, self._body, None)
        models.downloads_changed.connect(self.refresh)
        self.refresh()

    def show_offer(self, name: str) -> None:
        """Show this one."""
        self.name = name
        self.refresh()

    def refresh(self) -> None:
        """As it is now."""
        offer = next((found for found in self._models.catalogue if found.name == self.name), None)
        self._body.setVisible(offer is not None)
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
        short = self._short_bytes(offer)
        self.get.setEnabled(not is_here and running is None and not short)
        self.get.setToolTip(
            f"The disk has {wording.size(short)} too little" if short else "Download it; it can be paused"
        )
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
                ("Disk", self._disk(offer, short)),
                (
                    "SHA-256",
                    f"{offer.sha256[:4]}…{offer.sha256[-4:]}" if offer.sha256 else "as told by its server",
                ),
            )
        )

    def _short_bytes(self, offer: Any) -> int:
        """How much the disk lacks, the reserve included; 0 where there is room or nothing is known of the disk."""
        hardware = self._models.hardware
        return (
            0
            if hardware is None
            else max(0, offer.size_bytes_about + RESERVE_BYTES - hardware.disk_free_bytes)
        )

    def _disk(self, offer: Any, short: int) -> str:
        hardware = self._models.hardware
        if hardware is None:
            return wording.DASH
        words = (
            f"{wording.size(offer.size_bytes_about)} of {wording.whole_size(hardware.disk_free_bytes)} free"
        )
        return f"{words}, too little" if short else words
