"""What the window remembers between runs: places and sizes, never content. A small INI file in the data directory."""

import json
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QByteArray, QSettings

WIZARD_DONE = "wizard/done"
"""The flag that says the first run is over."""


class Store:
    """Reads and writes by key; an unreadable value counts as absent."""

    def __init__(self, path: Path | None) -> None:
        self._settings = QSettings(str(path), QSettings.Format.IniFormat) if path else None
        self._memory: dict[str, str] = {}

    def text(self, key: str, default: str = "") -> str:
        """A remembered text."""
        if self._settings is None:
            return self._memory.get(key, default)
        value = self._settings.value(key, default)
        return value if isinstance(value, str) else default

    def set_text(self, key: str, value: str) -> None:
        """Remember a text."""
        if self._settings is None:
            self._memory[key] = value
        else:
            self._settings.setValue(key, value)

    def flag(self, key: str) -> bool:
        """A remembered yes."""
        return self.text(key) == "yes"

    def set_flag(self, key: str, is_on: bool) -> None:
        """Remember a yes or no."""
        self.set_text(key, "yes" if is_on else "no")

    def numbers(self, key: str) -> dict[str, int]:
        """Remembered whole numbers by name."""
        try:
            found: Any = json.loads(self.text(key, "{}"))
        except ValueError:
            return {}
        if not isinstance(found, dict):
            return {}
        pairs = cast("dict[object, object]", found)
        return {str(name): number for name, number in pairs.items() if isinstance(number, int)}

    def set_numbers(self, key: str, values: dict[str, int]) -> None:
        """Remember whole numbers by name."""
        self.set_text(key, json.dumps(values))

    def bytes(self, key: str) -> QByteArray:
        """Remembered bytes."""
        return QByteArray.fromBase64(QByteArray(self.text(key).encode("ascii", "ignore")))

    def set_bytes(self, key: str, value: QByteArray) -> None:
        """Remember bytes."""
        self.set_text(key, bytes(value.toBase64().data()).decode("ascii"))

    def save(self) -> None:
        """Write to disk now."""
        if self._settings is not None:
            self._settings.sync()
