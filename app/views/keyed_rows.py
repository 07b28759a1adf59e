# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The model behind the window's painted lists: rows by key, so that new words for the same rows move no selection."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

Index = QModelIndex | QPersistentModelIndex
ROW_ROLE = Qt.ItemDataRole.UserRole + 1


class KeyedRows(QAbstractListModel):
    """A list says by `key_of` which row is which, and by `told` what a role shows; its delegate asks for `ROW_ROLE`."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Any, ...] = ()

    def key_of(self, row: Any) -> Any:
        """What makes it the same row when it comes again."""
        return row.key

    def told(self, row: Any, role: int) -> Any:
        """What Qt is given for a role."""
        raise NotImplementedError

    def show_rows(self, rows: Sequence[Any]) -> None:
        """Show these. The same keys in the same order only change in place."""
        is_same = [self.key_of(row) for row in rows] == [self.key_of(row) for row in self.rows]
        if is_same:
            self.rows = tuple(rows)
            if rows:
                self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.rows[index.row()]
        return row if role == ROW_ROLE else self.told(row, role)
