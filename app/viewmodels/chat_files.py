"""What is attached to the question that is being written, and sending it with the words."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from app.viewmodels.chat import ChatViewModel

if TYPE_CHECKING:
    from app.viewmodels.attachments import Attachment, Fit, Picture
    from legion_core.api.facade import Legion
    from legion_core.api.types import Capability

FILES_MAX = 16
PICTURES_MAX = 8


class ChatFiles(QObject):
    """Reading is done off the loop; what cannot be shown is told in a sentence. `refusal` while nothing may be attached."""

    added = Signal(object)
    """An `Attachment` goes with the question now."""
    cleared = Signal()
    """Nothing is attached any more."""

    def __init__(self, bridge: Bridge, chat: ChatViewModel) -> None:
        super().__init__()
        self.setObjectName("viewmodel.chatFiles")
        self._bridge = bridge
        self._chat = chat
        self.attached: list[Attachment] = []
        self.refusal = ""
        self._sent: list[Attachment] = []
        chat.pictures_returned.connect(self._put_back)

    def add_files(self, paths: Sequence[str], fit: "Fit") -> None:
        """Read these and attach what can be shown."""
        from app.viewmodels.attachments import NotShown, read_file

        if self.refusal or len(self.attached) + len(paths) > FILES_MAX:
            self._bridge.refused.emit(
                self.refusal or f"{FILES_MAX} files are the most that go with one question."
            )
            return

        async def read(_: "Legion") -> "list[Attachment | str]":
            found: list[Attachment | str] = []
            for path in paths:
                try:
                    found.append(await asyncio.to_thread(read_file, Path(path), fit))
                except NotShown as refusal:
                    found.append(str(refusal))
            return found

        self._bridge.launch("chat.attach", read, self.take_read)

    def add_picture(self, picture: "Picture", name: str) -> None:
        """Attach a picture that never was a file."""
        from app.viewmodels.attachments import of_picture

        if self.refusal:
            self._bridge.refused.emit(self.refusal)
        else:
            self.add_pictures([of_picture(name, picture)])

    def take_read(self, found: "Sequence[Attachment | str]") -> None:
        """Attach what was read; the sentences are of those that cannot be."""
        good = [each for each in found if not isinstance(each, str)]
        for each in good:
            if each.text:
                self._add(each)
        self.add_pictures([each for each in good if each.is_picture])
        self.add_documents([each for each in good if each.document is not None])
        if refusals := [each for each in found if isinstance(each, str)]:
            self._bridge.refused.emit(" ".join(refusals[:3]))

    def add_pictures(self, pictures: "Sequence[Attachment]") -> None:
        """Attach them if a model that may answer can see."""
        if not pictures:
            return
        if sum(each.is_picture for each in self.attached) + len(pictures) > PICTURES_MAX:
            self._bridge.refused.emit(f"{PICTURES_MAX} pictures are the most that go with one question.")
            return
        self._add_shown(pictures, "vision")

    def add_documents(self, documents: "Sequence[Attachment]") -> None:
        """Attach them if a model that may answer reads documents."""
        if not documents:
            return
        from app.viewmodels.attachments import FILE_BYTES_MAX, document_bytes

        if document_bytes([*self.attached, *documents]) > FILE_BYTES_MAX:
            self._bridge.refused.emit(
                f"{wording.size(FILE_BYTES_MAX)} of PDFs are the most that go with one question."
            )
            return
        self._add_shown(documents, "documents")

    def _add_shown(self, shown: "Sequence[Attachment]", capability: "Capability") -> None:
        from app.viewmodels.attachments import why_not_seen

        pins, is_private = self._chat.pins, self._chat.is_private

        async def ask(legion: "Legion") -> str:
            return why_not_seen(await legion.llm.lanes(), pins, is_private=is_private, capability=capability)

        def done(why_not: str) -> None:
            if why_not:
                self._bridge.refused.emit(why_not)
                return
            for each in shown:
                self._add(each)

        self._bridge.launch("chat.sees", ask, done)

    def remove(self, attachment: "Attachment") -> None:
        """Take one off."""
        self.attached = [each for each in self.attached if each is not attachment]

    def send(self, words: str) -> bool:
        """Ask with everything attached; False where nothing was asked, and then all stays attached."""
        if not self.attached:
            return self._chat.send(words)
        from app.viewmodels.attachments import told

        attached = list(self.attached)
        shown = tuple(each.block for each in attached if each.is_shown)
        self._sent = attached
        self.attached = []
        if not self._chat.send(told(words, attached), shown):
            self.attached = attached
            return False
        if not self.attached:  # a refusal may have put some back already
            self.cleared.emit()
        return True

    def _add(self, attachment: "Attachment") -> None:
        self.attached.append(attachment)
        self.added.emit(attachment)

    def _put_back(self, _images: object) -> None:
        """A question was refused: its words go back by themselves, texts in them, so only pictures and PDFs are attached anew."""
        self.cleared.emit()
        for each in self._sent:
            if each.is_shown:
                self._add(each)
        self._sent = []
