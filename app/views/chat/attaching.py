# ruff: noqa: D102  (Qt overrides do what Qt says)
"""What is attached to the question: by the button, dropped, or pasted; each a chip under the words."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QDropEvent, QImage
from PySide6.QtWidgets import QFileDialog, QWidget

from app.views.parts import bind, icon_button, taking
from app.views.services import Services
from app.widgets.chips import Chip
from app.widgets.composer import Composer

if TYPE_CHECKING:
    from app.viewmodels.attachments import Attachment
    from legion_core.api.facade import Legion
    from legion_core.api.types import ImageBlock

PASTED = "Pasted picture"


class Attaching(QObject):
    """Bound to one composer. Reading is done off the loop; a file that cannot be shown is told in a sentence."""

    def __init__(self, services: Services, composer: Composer) -> None:
        super().__init__(composer)
        self.setObjectName("chat.attaching")
        self._services = services
        self._composer = composer
        self._held: list[tuple[Chip, Attachment]] = []
        self.button = icon_button("paperclip", "chat.attach", "Attach files", self.choose)
        composer.add_tool(self.button)
        composer.files_dropped.connect(self.add_files)
        composer.picture_pasted.connect(taking(QImage, self._add_image))
        services.chat.pictures_returned.connect(self._put_back)
        self._kept: list[Attachment] = []

    @property
    def attached(self) -> "tuple[Attachment, ...]":
        """What would go with the question, in order."""
        return tuple(attachment for _, attachment in self._held)

    def set_usable(self, is_usable: bool) -> None:
        """Whether files can go with what is being written."""
        self.button.setEnabled(is_usable)
        self.button.setToolTip("Attach files" if is_usable else "An edited message keeps the pictures it had")

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
        dialog = QFileDialog(window, "Attach texts or pictures")
        dialog.setObjectName("chat.attachDialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self.add_files)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def add_files(self, paths: Sequence[str]) -> None:
        """Read these and attach what can be shown."""
        from app.viewmodels.attachments import FILES_MAX, NotShown, read_file

        if not self.button.isEnabled():
            self._refuse(f"{self.button.toolTip()}.")
            return
        if len(self._held) + len(paths) > FILES_MAX:
            self._refuse(f"{FILES_MAX} files are the most that go with one question.")
            return

        async def read(_: "Legion") -> "list[Attachment | str]":
            found: list[Attachment | str] = []
            for path in paths:
                try:
                    found.append(await asyncio.to_thread(read_file, Path(path)))
                except NotShown as refusal:
                    found.append(str(refusal))
            return found

        self._services.bridge.launch("chat.attach", read, self._on_read)

    def take(self) -> "tuple[str, tuple[ImageBlock, ...]]":
        """The words of the text files, and the pictures; nothing is attached any more."""
        if not self._held:
            return "", ()
        from app.viewmodels.attachments import told

        attached = self.attached
        self._kept = list(attached)
        self.clear()
        return told("", attached), tuple(each.block for each in attached if each.is_picture)

    def clear(self) -> None:
        """Take everything off."""
        for chip, _ in list(self._held):
            self._drop(chip)

    def _on_read(self, found: "list[Attachment | str]") -> None:
        refusals = [each for each in found if isinstance(each, str)]
        good = [each for each in found if not isinstance(each, str)]
        for each in good:
            if not each.is_picture:
                self._add(each)
        self._add_pictures([each for each in good if each.is_picture])
        if refusals:
            self._refuse(" ".join(refusals[:3]))

    def _add_image(self, image: QImage) -> None:
        from app.viewmodels.attachments import NotShown, of_image

        if not self.button.isEnabled():
            self._refuse(f"{self.button.toolTip()}.")
            return
        try:
            self._add_pictures([of_image(image, PASTED)])
        except NotShown as refusal:
            self._refuse(str(refusal))

    def _add_pictures(self, pictures: "list[Attachment]") -> None:
        """Attach them if a model that may answer can see."""
        if not pictures:
            return
        from app.viewmodels.attachments import PICTURES_MAX, why_not_seen

        if sum(each.is_picture for each in self.attached) + len(pictures) > PICTURES_MAX:
            self._refuse(f"{PICTURES_MAX} pictures are the most that go with one question.")
            return
        chat = self._services.chat
        pins, is_private = chat.pins, chat.is_private

        async def ask(legion: "Legion") -> str:
            return why_not_seen(await legion.llm.lanes(), pins, is_private=is_private)

        def done(why_not: str) -> None:
            if why_not:
                self._refuse(why_not)
                return
            for each in pictures:
                self._add(each)

        self._services.bridge.launch("chat.sees", ask, done)

    def _add(self, attachment: "Attachment") -> None:
        icon = "image" if attachment.is_picture else "file-text"
        chip = Chip(attachment.name, attachment.detail, icon)
        chip.removed.connect(bind(self._drop, chip))
        self._held.append((chip, attachment))
        self._composer.add_chip(chip)

    def _drop(self, chip: Chip) -> None:
        self._held = [pair for pair in self._held if pair[0] is not chip]
        self._composer.remove_chip(chip)
        self._composer.take_focus()

    def _put_back(self, _images: object) -> None:
        """A question was refused: its words go back by themselves, texts in them, so only pictures are attached anew."""
        for each in self._kept:
            if each.is_picture:
                self._add(each)
        self._kept = []

    def _refuse(self, sentence: str) -> None:
        self._services.bridge.refused.emit(sentence)
