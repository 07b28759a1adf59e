"""Loads lexers off the interface's thread, each once."""

from PySide6.QtCore import QCoreApplication, QObject, QThreadPool, Signal

from app.widgets.transcript.highlight import is_loaded, load


class Lexers(QObject):
    """One per application: `ask` for a language, hear `loaded` when `classes` can colour it."""

    loaded = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._asked: set[str] = set()

    def ask(self, language: str) -> bool:
        """Whether a language can be coloured now; if not, it is being loaded."""
        if is_loaded(language):
            return True
        if language not in self._asked:
            self._asked.add(language)
            QThreadPool.globalInstance().start(lambda: self._load(language))
        return False

    def _load(self, language: str) -> None:
        """On a pool thread; Qt brings the signal over to the listeners' thread."""
        load(language)
        self._asked.discard(language)
        self.loaded.emit(language)


def lexers() -> Lexers:
    """The application's."""
    app = QCoreApplication.instance()
    assert app is not None
    found = app.findChild(Lexers)
    return found if found is not None else Lexers(app)
