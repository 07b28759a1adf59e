"""The one place from which anything leaves for the browser or another program."""

from pathlib import Path
from urllib.parse import unquote

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from app.views.about import ask_open_link

SCHEMES = ("https", "http", "mailto")
SHOWN_MAX = 600


def is_safe(address: str) -> bool:
    """Whether a link of an answer may be offered at all: web pages and mail, with a host and without a password."""
    url = QUrl(address, QUrl.ParsingMode.StrictMode)
    if not url.isValid() or url.scheme() not in SCHEMES or url.userName() or url.password():
        return False
    if url.scheme() == "mailto":
        # Some mail programs take files along by themselves where a link says so.
        return bool(url.path()) and "attach" not in unquote(url.query()).lower()
    return bool(url.host())


def shown(address: str) -> str:
    """An address as it is asked about: the real host first, in ASCII, where letters of other scripts look alike."""
    url = QUrl(address, QUrl.ParsingMode.StrictMode)
    host = url.host(QUrl.ComponentFormattingOption.FullyEncoded)
    whole = bytes(url.toEncoded().data()).decode("ascii", "replace")
    return f"{host}\n\n{whole[:SHOWN_MAX]}" if host else whole[:SHOWN_MAX]


def ask_then_open(parent: QWidget, address: str) -> bool:
    """Open a link that a model or a server of others wrote, if the person says so; whether it was opened."""
    if not is_safe(address) or not ask_open_link(parent, shown(address)):
        return False
    return QDesktopServices.openUrl(QUrl(address, QUrl.ParsingMode.StrictMode))


def open_file(path: str) -> bool:
    """Open a file of ours in the program the desktop has for it; its folder where there is no such file yet."""
    target = Path(path)
    return QDesktopServices.openUrl(QUrl.fromLocalFile(str(target if target.exists() else target.parent)))
