"""Writing a chat to a file of the person's choice."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from app.viewmodels.conversations import ConversationsViewModel
from app.views.parts import taking


def ask_where(parent: QWidget, title: str, write: Callable[[str], None]) -> None:
    """Ask for the file; `write` gets its path."""
    dialog = QFileDialog(parent, "Export this chat", f"{_file_name(title)}.md")
    dialog.setObjectName("chat.exportDialog")
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilters(["Markdown (*.md)", "JSON (*.json)", "HTML (*.html)"])
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(taking(str, write))
    dialog.open()


def write_chat(chats: ConversationsViewModel, conversation_id: str, path: str, window: QWidget) -> None:
    """Write it, and say so when it is written."""
    notices = getattr(window, "notices", None)

    def done(name: str) -> None:
        if notices is not None:
            notices.tell(f"Saved {name}", icon="circle-check")

    chats.export(conversation_id, Path(path), done)


def last_code(markdown: str) -> str:
    """The text of the last fenced block, or nothing."""
    blocks: list[list[str]] = []
    fence = ""
    for part in markdown.splitlines():
        stripped = part.strip()
        if fence:
            if stripped.startswith(fence) and not stripped.strip("`~"):
                fence = ""
            else:
                blocks[-1].append(part)
        elif stripped.startswith(("```", "~~~")):
            fence = stripped[:3]
            blocks.append([])
    return "\n".join(blocks[-1]) if blocks else ""


def _file_name(title: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in " -_" else " " for letter in title)
    return " ".join(kept.split())[:80] or "chat"
