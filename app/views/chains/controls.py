"""The head of the Chains page: which chain, how its run goes, how it is shown, and what can be done with it now."""

from collections.abc import Callable
from datetime import datetime

from app.theme.apply import look
from app.theme.icons import set_icon
from app.viewmodels import wording
from app.viewmodels.chain_editor import ChainEditor
from app.viewmodels.chain_run import RUN_STATE, run_words
from app.views.painted import PillRow
from app.views.parts import ElidedLabel, Head, button, icon_button
from app.widgets.canvas.looks import STATES
from app.widgets.segmented import Segmented

PILL_FROM = 640
WAYS = (("graph", "Graph"), ("list", "List"), ("text", "YAML"))
TONES = {"done": "ok", "failed": "err", "running": "accent", "skipped": "neutral"}


class ChainHead(Head):
    """See the module. A control that cannot be used says why in its tooltip."""

    def __init__(
        self,
        editor: ChainEditor,
        now: Callable[[], datetime],
        *,
        save: Callable[[], None],
        dry_run: Callable[[], None],
        start: Callable[[], None],
        show_details: Callable[[], None],
    ) -> None:
        super().__init__(left=16, right=12, spacing=6)
        self._editor = editor
        self._now = now
        self.title = ElidedLabel("", "heading", name="chains.title")
        self.run_pill = PillRow("chains.runPill")
        policy = self.run_pill.sizePolicy().Policy
        self.run_pill.setSizePolicy(policy.Preferred, policy.Fixed)
        self.ways = Segmented(WAYS, "How the chain is shown", small=False)
        self.ways.setObjectName("chains.ways")
        self.undo = icon_button("undo-2", "chains.undo", "Undo", editor.undo, keys="Ctrl Z")
        self.redo = icon_button("redo-2", "chains.redo", "Redo", editor.redo, keys="Ctrl Shift Z")
        self.save = button("Save", "chains.save", save)
        self.dry = button("Dry run", "chains.dry", dry_run, icon="flask-conical")
        self.start = button("Run", "chains.start", start, icon="play", kind="primary")
        self.details = icon_button("panel-right", "chains.details", "Details", show_details, keys="Ctrl I")
        self.add(
            self.title, 4, self.run_pill, None, self.ways, 4, self.undo, self.redo, 4, self.save, self.dry, self.start,
            self.details,
        )  # fmt: skip

    def say(self, *, has: bool, has_details: bool) -> None:
        """What is so now; `has`: a chain is open, `has_details`: they stand beside it already."""
        editor = self._editor
        self.title.set_words(editor.name if has else "Chains")
        for widget in (self.ways, self.undo, self.redo, self.dry, self.start):
            widget.setVisible(has)
        self.details.setVisible(has and not has_details)
        self.save.setVisible(has and not editor.is_saved)
        self.save.setEnabled(not editor.faults)
        self.save.setToolTip(
            "Put this version in force  Ctrl S"
            if not editor.faults
            else f"{wording.plural(len(editor.faults), 'fault')} to mend first"
        )
        undo, redo = editor.history.undo_words, editor.history.redo_words
        self.undo.setEnabled(bool(undo))
        self.undo.setToolTip(f"Undo: {undo}  Ctrl Z" if undo else "Nothing to undo")
        self.redo.setEnabled(bool(redo))
        self.redo.setToolTip(f"Redo: {redo}  Ctrl Shift Z" if redo else "Nothing to redo")
        self._say_start()

    def say_run(self) -> None:
        """How the run that is shown goes."""
        run = self._editor.runs.run
        if run is None:
            self.run_pill.show_pills()
            return
        state = RUN_STATE[run.view.status]
        words = run_words(run.view, self._now())
        prefix = "Dry run, " if run.view.is_dry else ""
        self.run_pill.show_pills((f"{prefix}{words}", TONES.get(state, "neutral"), STATES[state].glyph))
        self.fit()

    def fit(self) -> None:
        """Where there is no room for it, the run's state stands in the list and the timeline."""
        has_room = self.width() >= look().px(PILL_FROM)
        self.run_pill.setVisible(has_room and self._editor.runs.run is not None)

    def _say_start(self) -> None:
        editor = self._editor
        can_run = bool(editor.draft.nodes) and not editor.faults
        is_running = editor.runs.run is not None and editor.runs.run.is_running
        self.dry.setEnabled(can_run)
        self.start.setEnabled(can_run or is_running)
        why = "Mend the faults first" if editor.faults else "Add a node first"
        self.dry.setToolTip("See what would run; nothing is done  Ctrl Shift Return" if can_run else why)
        words, glyph = ("Stop", "square") if is_running else ("Run", "play")
        if self.start.text() != words:
            self.start.setText(words)
            self.start.setAccessibleName(words)
            set_icon(self.start, glyph, "text.onAccent", 16)
        self.start.setToolTip("Cancel the run" if is_running else "Run it  Ctrl Return" if can_run else why)
