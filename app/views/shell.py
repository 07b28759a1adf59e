"""What the parts of the window may ask of the window itself, so that they need not know how it is made."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.views.appearance import Appearance
from app.views.banner import Banner
from app.views.frame import PageFrame
from app.views.services import Services


class Shell(QWidget):
    """The window as its parts see it; `MainWindow` is the only one."""

    painted = Signal()
    """The first frame is on the screen."""
    quit_asked = Signal()
    hidden_to_tray = Signal()

    services: Services
    appearance: Appearance
    banner: Banner
    overlay: QWidget | None
    has_tray: bool

    def ask_quit(self) -> None:
        """Quit, after one question where that would stop something."""
        raise NotImplementedError

    def go(self, page: str) -> PageFrame:
        """Show a page, building it on its first visit, and give it the focus."""
        raise NotImplementedError

    def open_chat(self, conversation_id: str) -> None:
        """Show a chat on the chat page."""
        raise NotImplementedError

    def close_overlay(self) -> None:
        """Take away what lies over the window."""
        raise NotImplementedError

    def raise_up(self) -> None:
        """Come to the front, from the tray or from behind."""
        raise NotImplementedError
