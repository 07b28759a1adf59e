# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The pictures shown with questions: small ones in the transcript, decoded when they come into view; large ones in a dialog.

A picture is read from the journal when it is painted for the first time, decoded small on a thread, and a bounded number of
small ones is kept. The large one lives as long as its dialog.
"""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt, QUrl
from PySide6.QtGui import QGuiApplication, QImage, QImageReader, QKeyEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QDialog, QFileDialog, QLabel, QSizePolicy, QWidget

from app.bridge import Bridge
from app.theme.apply import look
from app.viewmodels.chat_pictures import decode_pictures, read_pictures
from app.views.parts import button, column, fill, label, row, taking
from app.widgets.transcript.laid_pictures import BOX_PX

if TYPE_CHECKING:
    from app.widgets.transcript.view import TranscriptView

SMALL_KEPT = 48  # of about 60 kB each
LARGE_EDGE_MAX = 4096
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}


class ChatPictures:
    """Gives the transcript its small pictures, and opens one."""

    def __init__(self, bridge: Bridge, view: "TranscriptView") -> None:
        self._bridge = bridge
        self._view = view
        self._small: OrderedDict[tuple[str, int], QPixmap] = OrderedDict()
        self._asked: OrderedDict[str, None] = OrderedDict()

    def small(self, message_id: str, number: int) -> QPixmap | None:
        """The small picture if it is here; else it is sent for, and the transcript painted again when it has come."""
        found = self._small.get((message_id, number))
        if found is not None:
            self._small.move_to_end((message_id, number))
            return found
        if message_id not in self._asked:
            self._asked[message_id] = None
            while len(self._asked) > SMALL_KEPT:
                self._asked.popitem(last=False)
            self._load(message_id)
        return None

    def look_at(self, message_id: str, number: int) -> None:
        """Show it large."""

        def done(blocks: Sequence[Any]) -> None:
            if 0 <= number < len(blocks):
                PictureDialog(blocks, number, self._view.window()).open()

        read_pictures(self._bridge, message_id, done)

    def _load(self, message_id: str) -> None:
        dpr = self._view.devicePixelRatioF()
        box = QSize(*(round(look().px(px) * dpr) for px in BOX_PX))

        def done(images: list[QImage]) -> None:
            for number, image in enumerate(images):
                if image.isNull():
                    continue
                image.setDevicePixelRatio(dpr)
                self._small[(message_id, number)] = QPixmap.fromImage(image)
            while len(self._small) > SMALL_KEPT:
                gone, _ = self._small.popitem(last=False)
                self._asked.pop(gone[0], None)
            self._view.viewport().update()

        decode_pictures(self._bridge, message_id, lambda block: decoded(block, box, is_cover=True), done)


class PictureDialog(QDialog):
    """A picture as large as fits; the arrow keys go to the next, Escape closes."""

    def __init__(self, blocks: Sequence[Any], number: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("chat.picture")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._blocks = blocks
        self._number = number
        self._image = QImage()
        screen = QGuiApplication.primaryScreen().availableSize()
        self.resize(min(look().px(860), screen.width() - 80), min(look().px(640), screen.height() - 120))
        layout = column(self, (12, 12, 12, 12), 10)
        self.shown = QLabel()
        self.shown.setObjectName("chat.pictureShown")
        self.shown.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.shown.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        layout.addWidget(self.shown, 1)
        foot = row(spacing=8)
        self.said = label("", "small", "tertiary", name="chat.pictureSaid")
        self.previous = button(
            "Previous", "chat.picturePrevious", lambda: self.step(-1), kind="ghost", small=True
        )
        self.next = button("Next", "chat.pictureNext", lambda: self.step(1), kind="ghost", small=True)
        done = button("Close", "chat.pictureClose", self.accept)
        done.setDefault(True)
        fill(
            foot, self.said, None, self.previous, self.next,
            button("Copy", "chat.pictureCopy", self.copy, icon="copy", kind="ghost", small=True),
            button("Save…", "chat.pictureSave", self.save, icon="download", small=True), done,
        )  # fmt: skip
        layout.addLayout(foot)
        self.step(0)

    def step(self, by: int) -> None:
        """Another one of the same question."""
        self._number = min(max(0, self._number + by), len(self._blocks) - 1)
        block = self._blocks[self._number]
        self._image = decoded(block, QSize(LARGE_EDGE_MAX, LARGE_EDGE_MAX), is_cover=False)
        count = len(self._blocks)
        place = f"Picture {self._number + 1} of {count}" if count > 1 else "Picture"
        self.setWindowTitle(place)
        size = "" if self._image.isNull() else f", {self._image.width():,} × {self._image.height():,}"
        self.said.setText(f"{place}{size}")
        self.shown.setAccessibleName(f"{place}{size}")
        self.previous.setVisible(count > 1)
        self.next.setVisible(count > 1)
        self.previous.setEnabled(self._number > 0)
        self.next.setEnabled(self._number < count - 1)
        self._fit()

    def copy(self) -> None:
        """Onto the clipboard."""
        if not self._image.isNull():
            QGuiApplication.clipboard().setImage(self._image)

    def save(self) -> None:
        """Ask where, and write its bytes as they were sent."""
        block = self._blocks[self._number]
        dialog = QFileDialog(
            self, "Save this picture", f"picture-{self._number + 1}{SUFFIXES.get(block.media_type, '')}"
        )
        dialog.setObjectName("chat.pictureWhere")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(taking(str, self.write))
        dialog.open()

    def write(self, path: str) -> None:
        """Its bytes as they were sent, into a file."""
        try:
            Path(path).write_bytes(base64.b64decode(self._blocks[self._number].data))
        except (OSError, binascii.Error) as error:
            self.said.setText(f"It could not be saved: {error}")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.step(step)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._image.isNull():
            address = QUrl(self._blocks[self._number].url).host()
            self.shown.setText(
                f"This picture lies at {address} and is not fetched." if address else "It cannot be shown."
            )
            return
        dpr = self.devicePixelRatioF()
        room = self.shown.size() * dpr
        scaled = self._image
        if self._image.width() > room.width() or self._image.height() > room.height():
            scaled = self._image.scaled(
                room, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
        fitted = QPixmap.fromImage(scaled)
        fitted.setDevicePixelRatio(dpr)
        self.shown.setPixmap(fitted)


def decoded(block: Any, size: QSize, *, is_cover: bool) -> QImage:
    """A picture read no larger than it is shown: its pixels would take far more than its bytes. Null where it cannot be."""
    try:
        data = base64.b64decode(block.data)
    except (binascii.Error, ValueError):
        return QImage()
    source = QBuffer()
    source.setData(QByteArray(data))
    source.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(source)
    reader.setAutoTransform(True)
    whole = reader.size()
    if whole.isValid() and (whole.width() > size.width() or whole.height() > size.height()):
        mode = (
            Qt.AspectRatioMode.KeepAspectRatioByExpanding if is_cover else Qt.AspectRatioMode.KeepAspectRatio
        )
        wanted = whole.scaled(size, mode)
        if wanted.width() * wanted.height() <= whole.width() * whole.height():
            reader.setScaledSize(wanted)
    return reader.read()
