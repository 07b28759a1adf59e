"""The second column of the Chains page: the chains, the recent runs of the one that is open, and what is done with a chain."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from app.viewmodels import wording
from app.viewmodels.chain_run import RUN_STATE, RUN_WORDS
from app.viewmodels.chains import ChainsViewModel
from app.views.chains.side import Entry, EntryList
from app.views.parts import ElidedLabel, Head, bind, column, icon_button
from app.widgets.canvas.looks import STATES


class ChainIndex(QWidget):
    """See the module. `make_new` begins a chain, `now` gives local time."""

    refused = Signal(str)
    """Why something was not done."""

    def __init__(
        self, chains: ChainsViewModel, now: Callable[[], datetime], make_new: Callable[[], None]
    ) -> None:
        super().__init__()
        self.setObjectName("chains.sideContent")
        self._chains = chains
        self._now = now
        self._make_new = make_new
        layout = column(self)
        head = Head(left=12, right=8, has_line=False)
        new = icon_button("plus", "chains.new", "New chain", make_new, keys="Ctrl Shift N")
        self._more = icon_button("ellipsis", "chains.more", "More for chains", self._show_more)
        head.add(ElidedLabel("Chains", "heading"), None, self._more, new)
        layout.addWidget(head)
        self.list = EntryList()
        layout.addWidget(self.list, 1)
        self.list.deleted.connect(self._delete_entry)
        self.list.menu_asked.connect(self._show_menu)
        self.list.rows.renamed.connect(self._rename)

    def refresh(self) -> None:
        """Show what there is, standing where it stood."""
        chains = self._chains
        entries = [self._chain(name) for name in chains.names]
        if chains.runs:
            entries.append(Entry(title=f"Recent runs of {chains.current}"))
        now = self._now()
        entries += [self._run(run, now) for run in chains.runs]
        self.list.show_entries(entries, self._standing())

    def _chain(self, name: str) -> Entry:
        row = self._chains.row(name)
        state = RUN_STATE.get(row.last_status or "", "") if row is not None else ""
        mark = STATES[state] if state else None
        is_unsaved = name in self._chains.unsaved
        words = "not saved" if is_unsaved else RUN_WORDS.get(row.last_status or "", "") if row else ""
        return Entry(
            key=f"chain:{name}",
            title=name,
            icon="workflow",
            word="edited" if is_unsaved else "",
            mark=mark.glyph if mark else "",
            mark_ink=mark.ink if mark else "",
            spoken=f"{name}{', ' + words if words else ''}",
            is_chain=True,
        )

    @staticmethod
    def _run(run: Any, now: datetime) -> Entry:
        state = RUN_STATE[run.status]
        begin = run.created_at.astimezone(now.tzinfo) if run.created_at else now
        lasted = (run.ended_at - run.created_at).total_seconds() if run.ended_at and run.created_at else None
        word = wording.duration(lasted) if run.status == "succeeded" else RUN_WORDS[run.status]
        kind = "dry, " if run.is_dry else "again, " if run.replay_of else ""
        title = f"{begin:%H:%M:%S}" if begin.date() == now.date() else wording.list_time(begin, now)
        return Entry(
            key=f"run:{run.id}",
            title=title,
            icon=STATES[state].glyph,
            ink=STATES[state].ink,
            word=f"{kind}{word}",
            spoken=f"Run at {title}, {kind}{RUN_WORDS[run.status]}, {wording.duration(lasted)}",
        )

    def _standing(self) -> str:
        key = self.list.current_key
        if key.startswith("run:") and any(key == f"run:{run.id}" for run in self._chains.runs):
            return key
        return f"chain:{self._chains.current}"

    # What is done with a chain

    def ask_import(self) -> None:
        """Which file."""
        dialog = QFileDialog(self, "Import a chain")
        dialog.setObjectName("chains.importDialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters(["Chains (*.yaml *.yml *.json)", "All files (*)"])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self.read_files)
        dialog.open()

    def ask_export(self) -> None:
        """Where to."""
        dialog = QFileDialog(self, "Export the chain")
        dialog.setObjectName("chains.exportDialog")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("yaml")
        dialog.selectFile(f"{self._chains.current}.yaml")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self.write_file)
        dialog.open()

    def read_files(self, paths: list[str]) -> None:
        """Take in the first of these."""
        self._chains.read_file(Path(paths[0]))

    def write_file(self, paths: list[str]) -> None:
        """Write the open chain into the first of these."""
        self._chains.write_file(Path(paths[0]))

    def _rename(self, key: str, name: str) -> None:
        wrong = self._chains.rename(key.partition(":")[2], name)
        if wrong:
            self.refused.emit(wrong)
            self.refresh()

    def _delete_entry(self, key: str) -> None:
        self._chains.delete(key.partition(":")[2])

    def _show_more(self) -> None:
        self._show_menu(self._more.mapToGlobal(self._more.rect().bottomLeft()))

    def _show_menu(self, place: Any) -> None:
        menu = QMenu(self)
        menu.setObjectName("chains.listMenu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        name = self._chains.current
        for words, key, act, can in (
            ("New chain", "new", self._make_new, True),
            ("Rename", "rename", lambda: self.list.rename(f"chain:{name}"), bool(name)),
            ("Duplicate", "duplicate", lambda: self._chains.duplicate(name), bool(name)),
            ("Import…", "import", self.ask_import, True),
            ("Export…", "export", self.ask_export, bool(name)),
            ("Delete", "delete", lambda: self._chains.delete(name), bool(name)),
        ):
            action = menu.addAction(words)
            action.setObjectName(f"chains.listMenu.{key}")
            action.setEnabled(can)
            action.triggered.connect(bind(act))
        menu.popup(place)
