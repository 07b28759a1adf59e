# ruff: noqa: D102  (Qt overrides do what Qt says)
"""What is attached to the question: by the button, dropped, or pasted; each a chip under the words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QDropEvent, QImage
from PySide6.QtWidgets import QFileDialog, QWidget

from app.viewmodels.chat_files import ChatFiles
from app.views.parts import bind, icon_button, taking
from app.views.services import Services
from app.widgets.chips import Chip
from app.widgets.composer import Composer

if TYPE_CHECKING:
    from app.viewmodels.attachments import Attachment

PASTED = "Pasted picture"
EDITED = "An edited message keeps the pictures and PDFs it had."


class Attaching(QObject):
    """Bound to one composer and its view-model `files`."""

    def __init__(self, services: Services, composer: Composer) -> None:
        super().__init__(composer)
        self.setObjectName("chat.attaching")
        self._services = services
        self._composer = composer
        self._chips: list[Chip] = []
        self.files = ChatFiles(services.bridge, services.chat)
        self.button = icon_button("paperclip", "chat.attach", "Attach files", self.choose)
        composer.add_tool(self.button)
        composer.files_dropped.connect(self.add_files)
        composer.picture_pasted.connect(taking(QImage, self._add_image))
        self.files.added.connect(self._show)
        self.files.cleared.connect(self._clear)

    def set_usable(self, is_usable: bool) -> None:
        """Whether files can go with what is being written."""
        self.files.refusal = "" if is_usable else EDITED
        self.button.setEnabled(is_usable)
        self.button.setToolTip("Attach files" if is_usable else EDITED)

    def take_drops_on(self, place: QWidget) -> None:
        """Files dropped anywhere on this are attached too."""
        place.setAcceptDrops(True)
        place.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QDropEvent):  # entering and moving over are of this class too
            paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
            if paths:
                event.acceptProposedAction()
                if event.type() == QEvent.Type.Drop:
                    self.add_files(paths)
                return True
        return super().eventFilter(watched, event)

    def choose(self) -> None:
        """Ask which files."""
        window: QWidget = self._composer.window()
        dialog = QFileDialog(window, "Attach texts, pictures or PDFs")
        dialog.setObjectName("chat.attachDialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self.add_files)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def add_files(self, paths: Sequence[str]) -> None:
        """Read these and attach what can be shown."""
        from app.widgets.pictures import fitted

        self.files.add_files(paths, fitted)

    def _add_image(self, image: QImage) -> None:
        from app.widgets.pictures import NoPicture, encoded

        try:
            self.files.add_picture(encoded(image), PASTED)
        except NoPicture as refusal:
            self._services.bridge.refused.emit(f"{PASTED} {refusal}")

    def _show(self, attachment: "Attachment") -> None:
        icon = "image" if attachment.is_picture else "file-text"
        chip = Chip(attachment.name, attachment.detail, icon)
        chip.removed.connect(bind(self._drop, chip, attachment))
        self._chips.append(chip)
        self._composer.add_chip(chip)

    def _drop(self, chip: Chip, attachment: "Attachment") -> None:
        self.files.remove(attachment)
        self._chips = [each for each in self._chips if each is not chip]
        self._composer.remove_chip(chip)
        self._composer.take_focus()

    def _clear(self) -> None:
        for chip in self._chips:
            self._composer.remove_chip(chip)
        self._chips = []
