# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The drawer of downloads under the Models page: one row each with a bar, what is left, and cancel or retry."""

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap, set_icon
from app.theme.paint import meter, text
from app.viewmodels.models import Download, ModelsViewModel, downloads_words
from app.views.parts import button, column, fill, icon_button, label, line, row

INK = {
    "accent": "accent.text",
    "ok": "ok.text",
    "err": "err.text",
    "warn": "warn.text",
    "neutral": "text.tertiary",
}
BAR = {
    "accent": "accent.fill",
    "ok": "ok.mark",
    "err": "err.mark",
    "warn": "line.strong",
    "neutral": "line.strong",
}
WORDS = {"failed": "err.text", "waiting": "warn.text"}
BUTTONS_ROOM = 74


class DownloadRow(QWidget):
    """One download."""

    def __init__(self, models: ModelsViewModel, download: Download) -> None:
        super().__init__()
        self.setObjectName(f"download.{download.name}")
        self._models = models
        self._download = download
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.button = icon_button("x", f"download.{download.name}.cancel", "", self._act, small=True)
        self.hold = icon_button("pause", f"download.{download.name}.hold", "", self._hold, small=True)
        self._hold_icon = "pause"
        layout = row(self, (0, 0, 14, 0), 4)
        fill(layout, None, self.hold, self.button)
        self.show_download(download)

    def show_download(self, download: Download) -> None:
        """Its latest state."""
        self._download = download
        verb = "Cancel" if download.is_active else "Take out of the list"
        if download.state in ("paused", "cancelled"):
            verb = "Delete what came of it"
        self.button.setAccessibleName(f"{verb}: {download.name}")
        self.button.setToolTip(verb)
        icon = "pause" if download.can_pause else "play"
        if icon != self._hold_icon:
            self._hold_icon = icon
            set_icon(self.hold, icon, "text.secondary", 14)
        hold = "Pause" if download.can_pause else "Try again" if download.state == "failed" else "Go on"
        self.hold.setAccessibleName(f"{hold}: {download.name}")
        self.hold.setToolTip(hold)
        self.hold.setVisible(download.can_pause or download.can_resume)
        self.setAccessibleName(f"{download.name}: {download.words}")
        self.setToolTip(download.tip)
        self.update()

    def _hold(self) -> None:
        if self._download.can_pause:
            self._models.pause(self._download.name)
        else:
            self._models.resume(self._download.name)

    def _act(self) -> None:
        if self._download.is_active:
            self._models.cancel(self._download.name)
        else:
            self._models.forget_download(self._download.name)

    def sizeHint(self) -> QSize:
        return QSize(300, look().px(36))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        found = self._download
        painter.fillRect(QRectF(0, 0, self.width(), 1), look().colour("line.subtle"))
        middle = self.height() / 2
        painter.drawPixmap(
            QPointF(16, round(middle - 7)), pixmap(found.icon, INK[found.tone], 14, self.devicePixelRatioF())
        )
        name_width = min(220.0, self.width() * 0.28)
        text(painter, QRectF(48, 0, name_width, self.height()), found.name, "small", weight=500)
        words_width = min(320.0, self.width() * (0.45 if found.state == "failed" else 0.26))
        bar = QRectF(
            60 + name_width, middle - 3, self.width() - 60 - name_width - words_width - 24 - BUTTONS_ROOM, 6
        )
        if bar.width() > 20:
            meter(painter, bar, [(found.share or 0.0, BAR[found.tone])])
        ink = WORDS.get(found.state, "text.secondary")
        text(painter, QRectF(bar.right() + 12, 0, words_width + 8, self.height()), found.words, "small", ink)
        painter.end()


class Downloads(QFrame):
    """Hidden while there is none."""

    def __init__(self, models: ModelsViewModel) -> None:
        super().__init__()
        self.setObjectName("models.downloads")
        self.setProperty("role", "side")
        self.setAccessibleName("Downloads")
        self._models = models
        self._rows: dict[str, DownloadRow] = {}
        self._box = column(self)
        self._box.addWidget(line("lineNormal"))
        head = row(margins=(16, 8, 12, 8), spacing=8)
        self._sum = label("", "small", "tertiary")
        self.pause_all = button(
            "Pause all", "models.pauseAll", models.pause_all, icon="pause", kind="ghost", small=True,
            tip="Hold every download until it is resumed",
        )  # fmt: skip
        self.fold = icon_button(
            "chevron-down", "models.foldDownloads", "Fold the downloads", self._toggle, small=True
        )
        fill(head, label("Downloads", "section"), self._sum, None, self.pause_all, self.fold)
        self._box.addLayout(head)
        self._is_folded = False
        models.downloads_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Rows as the view-model has them."""
        found = self._models.downloads
        self.setVisible(bool(found))
        names = {download.name for download in found}
        for name in [name for name in self._rows if name not in names]:
            gone = self._rows.pop(name)
            gone.hide()
            gone.deleteLater()
        for download in found:
            if download.name in self._rows:
                self._rows[download.name].show_download(download)
            else:
                made = self._rows[download.name] = DownloadRow(self._models, download)
                self._box.addWidget(made)
                made.setVisible(not self._is_folded)
        self._sum.setText(downloads_words(found))
        self.pause_all.setVisible(sum(download.can_pause for download in found) > 1)

    def _toggle(self) -> None:
        self._is_folded = not self._is_folded
        for made in self._rows.values():
            made.setVisible(not self._is_folded)
        set_icon(self.fold, "chevron-up" if self._is_folded else "chevron-down", "text.secondary", 14)
        verb = "Show the downloads" if self._is_folded else "Fold the downloads"
        self.fold.setAccessibleName(verb)
        self.fold.setToolTip(verb)
