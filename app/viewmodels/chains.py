"""The chains there are and their runs: listed, made, renamed, deleted and brought back, read from files and written to them."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels.chain_draft import CHAIN_NAME, Draft, Place, draft_of
from app.viewmodels.chain_editor import ChainEditor, MakeHistory
from app.viewmodels.chain_examples import Example
from app.viewmodels.chain_text import text_of
from legion_core.api.chain_types import ChainRow, ChainView, RunRow
from legion_core.api.chains import ChainChanged, RunEnded, RunStarted
from legion_core.api.types import Event

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

RUNS_SHOWN = 30
READ_AGAIN_MS = 60
KEEP_MS = 800
Remembered = Callable[[str], str]
Remember = Callable[[str, str], None]


class ChainsViewModel(QObject):
    """What the Chains page shows.

    `recall` and `remember` keep places of nodes by chain, `kept` and `keep` drafts, `kept_input` and `keep_input` what a
    chain was last run with; each by the name of the chain, an empty text for nothing.
    """

    changed = Signal()
    """The list, or the state of something in it."""
    runs_changed = Signal()
    chosen = Signal(str)
    """Another chain is open; empty for none."""
    deleted = Signal(str)
    """Deleted, and can be brought back by `bring_back`."""

    def __init__(
        self,
        bridge: Bridge,
        now: Callable[[], datetime],
        *,
        make_history: MakeHistory,
        recall: Remembered,
        remember: Remember,
        kept: Callable[[str], str],
        keep: Callable[[str, str], None],
        kept_names: Callable[[], tuple[str, ...]],
        kept_input: Callable[[str], str],
        keep_input: Callable[[str, str], None],
    ) -> None:
        super().__init__()
        self.setObjectName("chains.list")
        self._bridge = bridge
        self._recall, self._remember = recall, remember
        self._kept, self._keep, self._kept_names = kept, keep, kept_names
        self._kept_input, self._keep_input = kept_input, keep_input
        self.editor = ChainEditor(bridge, now, make_history, self._keep_draft)
        self.rows: tuple[ChainRow, ...] = ()
        self.runs: tuple[RunRow, ...] = ()
        self.unsaved: frozenset[str] = frozenset(kept_names())
        self.current = ""
        self.is_read = False
        self._last_deleted: tuple[str, str, str] = ("", "", "")
        self._again = QTimer(self)
        self._again.setObjectName("chains.again")
        self._again.setSingleShot(True)
        self._again.setInterval(READ_AGAIN_MS)
        self._again.timeout.connect(self.refresh)
        self._pending: dict[str, Draft | None] = {}
        self._writes = QTimer(self)
        self._writes.setObjectName("chains.keep")
        self._writes.setSingleShot(True)
        self._writes.setInterval(KEEP_MS)
        self._writes.timeout.connect(self.flush)
        self.editor.applied.connect(self._take_row)
        self.editor.saved_changed.connect(self._say_saved)
        bridge.watch(self._told, ChainChanged, RunStarted, RunEnded)

    # The list

    def refresh(self) -> None:
        """Read the list and the runs of the open chain."""

        async def ask(legion: "Legion") -> tuple[ChainRow, ...]:
            return await legion.chains.list()

        def done(rows: tuple[ChainRow, ...]) -> None:
            self.rows, self.is_read = rows, True
            self.changed.emit()
            if not self.current and self.names:
                wanted = self._recall("chains/open")
                self.open(wanted if wanted in self.names else self.names[0])

        self._bridge.launch("chains_list", ask, done)
        self.refresh_runs()

    def refresh_runs(self) -> None:
        """Read the runs of the open chain."""
        name = self.current
        if not name:
            return

        async def ask(legion: "Legion") -> tuple[RunRow, ...]:
            return (await legion.chains.runs(name, limit=RUNS_SHOWN)).runs

        def done(runs: tuple[RunRow, ...]) -> None:
            if name == self.current:
                self.runs = runs
                self.runs_changed.emit()

        self._bridge.launch("chains_runs", ask, done)

    def read_operators(self, done: Callable[[tuple[tuple[str, str, str], ...]], None]) -> None:
        """The operators of conditions: name, the kind of value each takes, its words."""

        async def ask(_: "Legion") -> tuple[tuple[str, str, str], ...]:
            from legion_core.api.operators import operators

            return tuple((each.name, each.takes, each.words) for each in operators())

        self._bridge.launch("chain_operators", ask, done)

    def _take_row(self, row: ChainRow) -> None:
        if self.editor.name == self.current != row.name and self.editor.draft.name == row.name:
            # A person gave it another name in the text: what was saved is another chain, and that one is open now.
            self.unsaved -= {self.current}
            self.current = row.name
            self._remember("chains/open", row.name)
            self._again.start()
        self.rows = (*(old for old in self.rows if old.name != row.name), row)

    @property
    def names(self) -> tuple[str, ...]:
        """All chains by name, those never saved among them."""
        saved = {row.name for row in self.rows}
        return tuple(sorted(saved | self.unsaved))

    def row(self, name: str) -> ChainRow | None:
        """A chain that was saved."""
        return next((row for row in self.rows if row.name == name), None)

    def open(self, name: str) -> None:
        """Put a chain on the bench, with the draft that was kept of it."""
        if name == self.current and self.editor.name == name:
            return
        self.flush()
        self.current = name
        self.runs = ()
        self._remember("chains/open", name)
        self.runs_changed.emit()
        self.chosen.emit(name)
        if not name:
            return
        kept, is_saved = self._kept(name), self.row(name) is not None

        async def ask(legion: "Legion") -> tuple[ChainView | None, object]:
            view = await legion.chains.show(name) if is_saved else None
            draft: object = None
            if kept:
                text = str(_loaded(kept).get("text", ""))
                try:
                    draft = await legion.chains.parse(text)
                except Exception:  # noqa: BLE001  # a draft that cannot be read is shown by its document
                    draft = _loaded(kept).get("document")
            return view, draft

        def done(found: tuple[ChainView | None, object]) -> None:
            if name == self.current:
                self._show(name, *found, kept)

        self._bridge.launch("chain_open", ask, done)
        self.refresh_runs()

    def _show(self, name: str, view: ChainView | None, document: object, kept: str) -> None:
        places = self._places(name)
        saved = draft_of(view.document, places, view.text) if view is not None else None
        draft = draft_of(document, places, str(_loaded(kept).get("text", ""))) if document else None
        version = view.version if view is not None else 0
        shown = draft or saved or Draft({"name": name})
        self.editor.show_draft(name, shown, saved or Draft(), version, self._input(name))
        if view is not None and view.last_run:
            self.editor.runs.show(view.last_run)

    def new(self) -> str:
        """A new chain with nothing in it; its name."""
        return self._begin(Draft({"name": self._free_name("new-chain")}))

    def begin_example(self, example: Example) -> None:
        """A ready chain, applied at once and opened."""
        name = self._free_name(example.name)
        text = example.text.replace(f"name: {example.name}\n", f"name: {name}\n", 1)

        async def ask(legion: "Legion") -> ChainRow:
            return await legion.chains.apply(text)

        def done(row: ChainRow) -> None:
            self._keep_input(row.name, json.dumps(example.input))
            self._take_row(row)
            self.changed.emit()
            self.open(row.name)

        self._bridge.launch("chain_example", ask, done)

    def duplicate(self, name: str) -> None:
        """The same chain under another name, not saved yet."""
        draft = self.editor.draft
        if name == self.editor.name:
            self._begin(draft.with_head("name", self._free_name(name)))

    def _begin(self, draft: Draft) -> str:
        name = draft.name
        draft = Draft(draft.head, draft.nodes, draft.edges, draft.places)
        self.flush()
        self.unsaved |= {name}
        self._keep_draft(name, draft)
        self.current = name
        self.runs = ()
        self._remember("chains/open", name)
        self.changed.emit()
        self.runs_changed.emit()
        self.chosen.emit(name)
        self.editor.show_draft(name, draft, Draft(), 0)
        return name

    def rename(self, old: str, new: str) -> str:
        """Give a chain another name; a sentence where that cannot be."""
        if new == old:
            return ""
        if not CHAIN_NAME.fullmatch(new):
            return "A chain's name has letters, digits, dot, dash and underscore, at most 64."
        if new in self.names:
            return f"There is a chain {new} already."
        if self.row(old) is None:
            self._keep_draft(old, None)
            self.unsaved -= {old}
            if old == self.current:
                self._begin(self.editor.draft.with_head("name", new))
            return ""
        places, given = self._recall(f"chains/places/{old}"), self._kept_input(old)

        async def ask(legion: "Legion") -> ChainRow:
            await legion.chains.rename(old, new)
            return next(row for row in await legion.chains.list() if row.name == new)

        def done(row: ChainRow) -> None:
            self._remember(f"chains/places/{new}", places)
            self._keep_input(new, given)
            self._keep_input(old, "")
            self.rows = (*(each for each in self.rows if each.name != old), row)
            self.changed.emit()
            if self.current == old:
                self.open(new)

        self._bridge.launch("chain_rename", ask, done)
        return ""

    def delete(self, name: str) -> None:
        """Delete a chain; `bring_back` undoes it."""
        if self.row(name) is None:
            self.flush()
            self._last_deleted = (name, "", self._kept(name))
            self._forget(name)
            self.deleted.emit(name)
            return

        self.flush()
        kept = self._kept(name)

        async def ask(legion: "Legion") -> str:
            text = (await legion.chains.show(name)).text
            await legion.chains.delete(name)
            return text

        def done(text: str) -> None:
            self._last_deleted = (name, text, kept)
            self._forget(name)
            self.deleted.emit(name)

        self._bridge.launch("chain_delete", ask, done)

    def _forget(self, name: str) -> None:
        self._pending.pop(name, None)
        self._keep(name, "")
        self.unsaved -= {name}
        self.rows = tuple(row for row in self.rows if row.name != name)
        if name == self.current:
            self.current = ""
            self.editor.name = ""
            rest = self.names
            self.open(rest[0] if rest else "")
        self.changed.emit()

    def bring_back(self) -> None:
        """What was deleted last is there again, with what was not saved of it."""
        name, text, kept = self._last_deleted
        self._last_deleted = ("", "", "")
        if kept:
            self._keep(name, kept)
            self.unsaved |= {name}
        if text:
            self.take_text(text)
        elif kept:
            self.changed.emit()
            self.open(name)

    def take_text(self, text: str) -> None:
        """A chain from a text, applied and opened; refused with its faults."""

        async def ask(legion: "Legion") -> ChainRow:
            return await legion.chains.apply(text)

        def done(row: ChainRow) -> None:
            self._take_row(row)
            self.changed.emit()
            self.current = ""
            self.open(row.name)

        self._bridge.launch("chain_take", ask, done)

    def read_file(self, path: Path) -> None:
        """A chain from a file."""

        async def ask(_: "Legion") -> str:
            return await asyncio.to_thread(path.read_text, encoding="utf-8")

        self._bridge.launch(
            "chain_file", ask, self.take_text,
            lambda _: self._bridge.refused.emit(f"{path.name} is no text that can be read."),
        )  # fmt: skip

    def write_file(self, path: Path) -> None:
        """The open chain to a file, as it stands on the bench."""
        text = text_of(self.editor.draft)

        async def ask(_: "Legion") -> None:
            await asyncio.to_thread(path.write_text, text, encoding="utf-8")

        self._bridge.launch(
            "chain_write", ask, None,
            lambda _: self._bridge.refused.emit(f"{path} could not be written. Choose another folder."),
        )  # fmt: skip

    # Remembering

    def set_input(self, value: object) -> None:
        """What the next run is started with."""
        self.editor.runs.input = value
        if self.current:
            self._keep_input(self.current, json.dumps(value) if value else "")

    def _input(self, name: str) -> object:
        return _loaded(self._kept_input(name))

    def _places(self, name: str) -> dict[str, Place]:
        made: dict[str, Place] = {}
        for node, place in _loaded(self._recall(f"chains/places/{name}")).items():
            if isinstance(place, list) and len(found := cast("list[object]", place)) == 2:
                x, y = found
                if isinstance(x, int) and isinstance(y, int):
                    made[node] = (x, y)
        return made

    def _keep_place(self, name: str, places: Mapping[str, Place]) -> None:
        self._remember(f"chains/places/{name}", json.dumps(places, separators=(",", ":")))

    def _keep_draft(self, name: str, draft: Draft | None) -> None:
        """What is not saved is kept soon; places too, saved or not."""
        if name:
            self._pending[name] = draft
            self._writes.start()

    def flush(self) -> None:
        """Keep now what waits to be kept."""
        self._writes.stop()
        pending, self._pending = self._pending, {}
        for name, draft in pending.items():
            if draft is None:
                self._keep(name, "")
            else:
                self._keep(name, json.dumps({"text": text_of(draft), "document": draft.document()}))
        editor = self.editor
        if editor.name in pending and editor.draft.nodes:
            self._keep_place(editor.name, editor.draft.places)

    def _say_saved(self) -> None:
        editor = self.editor
        name = editor.name
        if not name:
            return
        before = self.unsaved
        self.unsaved = self.unsaved - {name} if editor.is_saved else self.unsaved | {name}
        if self.unsaved != before:
            self.changed.emit()
            self._again.start()

    def _free_name(self, wish: str) -> str:
        stem, number, name = wish[:58], 2, wish
        while name in self.names:
            name = f"{stem}-{number}"
            number += 1
        return name

    def _told(self, facts: Sequence[Event]) -> None:
        if facts:
            self._again.start()


def _loaded(text: str) -> dict[str, object]:
    try:
        found: object = json.loads(text or "{}")
    except ValueError:
        return {}
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}
