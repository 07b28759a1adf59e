"""The inspector of an edge: which outcome it follows, the condition with its live result, the delay, the fan-out."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtWidgets import QWidget

from app.viewmodels.chain_draft import changed
from app.viewmodels.chain_editor import ChainEditor
from app.views.chains.fields import as_json, breakable, caption, line_field, show_error, well
from app.views.chains.node_panel import section
from app.views.chains.rules import ConditionEditor, Operator
from app.views.parts import bind, column, fill, icon_button, label, line, row
from app.widgets.segmented import Segmented

OUTCOMES = (("success", "Success"), ("failure", "Failure"), ("always", "Always"))


class EdgePanel(QWidget):
    """Follows the chosen edge."""

    def __init__(self, editor: ChainEditor) -> None:
        super().__init__()
        self.setObjectName("chains.edge")
        self._editor = editor
        self._shown: tuple[str, str] = ("", "")
        self._facts: object = None
        layout = column(self)
        self.about = label("", "", "secondary", wraps=True, name="chains.edge.about")
        self.faults = label("", "small", "error", wraps=True, selectable=True, name="chains.edge.faults")
        self.faults.hide()
        self.on = Segmented(OUTCOMES, "Follows", small=True)
        self.on.setObjectName("chains.edge.on")
        self.on.changed.connect(self._set_on)
        self.reason = label("", "small", "secondary", wraps=True, selectable=True, name="chains.edge.reason")
        self.reason.hide()
        fill(layout, section(self.about, self.on, self.reason, self.faults), line())
        self.condition = ConditionEditor(self._set_when)
        fill(layout, section(caption("Runs if"), self.condition, spacing=8), line())
        self.each = line_field(
            "chains.edge.each", "Once for each: a JSONPath", self._set_each, "$.result.items"
        )
        self.each_now = label("", "small", "tertiary", wraps=True, name="chains.edge.eachNow")
        self.delay = line_field("chains.edge.delay", "Seconds later", bind(self._set_delay), "0")
        fill(
            layout,
            section(caption("Once for each"), self.each, self.each_now, caption("Seconds later"), self.delay),
        )
        head = row()
        self.facts_toggle = icon_button(
            "chevron-right", "chains.edge.showFacts", "Show the payload", self._toggle_facts, small=True
        )
        fill(head, caption("Last real payload"), None, self.facts_toggle)
        self.facts = well("chains.edge.facts", "What the condition sees")
        self.facts.hide()
        fill(layout, line(), section(head, self.facts), None)
        editor.changed.connect(self.refresh)
        editor.selected.connect(self.refresh)
        editor.faults_changed.connect(self._say_faults)
        editor.runs.read.connect(self._ask_facts)

    def set_operators(self, operators: tuple[Operator, ...]) -> None:
        """The operators a condition may use."""
        self.condition.set_operators(operators)

    def showEvent(self, event: object) -> None:  # Qt's name
        """What was not asked while it was hidden is asked now."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.refresh()
        self._ask_facts()

    def refresh(self) -> None:
        """Show the chosen edge again."""
        edge = self._editor.edge
        if edge is None:
            self._shown = ("", "")
            return
        is_other = (edge.source, edge.target) != self._shown
        self._shown = (edge.source, edge.target)
        self.about.setText(f"On the edge from {edge.source} to {edge.target}.")
        if edge.on in dict(OUTCOMES):
            self.on.choose(edge.on)
        self.condition.show_condition(edge.when)
        for field, words in (
            (self.each, edge.each),
            (self.delay, f"{edge.delay_s:g}" if edge.delay_s else ""),
        ):
            if is_other or not field.hasFocus():
                field.setText(words)
                show_error(field, "")
        self._say_faults()
        if is_other:
            self._facts = None
            self.condition.show_said(None)
            self._ask_facts()
        else:
            self._explain()

    def _say_faults(self) -> None:
        edges = self._editor.edges
        if self._editor.edge is None:
            return
        found = self._editor.faults_of_edge(edges[0])
        words = "\n".join(
            f"{fault.message[:1].upper()}{fault.message[1:]} {fault.hint}".strip() for fault in found
        )
        self.faults.setText(breakable(words))
        self.faults.setVisible(bool(words))

    def _ask_facts(self) -> None:
        """What the condition sees: of the run that is shown, else of the newest in which the source ran."""
        edge = self._editor.edge
        if edge is None or not self.isVisible():
            return
        shown = self._shown
        run = self._editor.runs.run
        mark = run.edges.get(self._editor.edges[0]) if run is not None else None
        self.reason.setText(breakable(mark.reason) if mark is not None else "")
        self.reason.setVisible(bool(self.reason.text()))

        def done(found: Any) -> None:
            if shown == self._shown:
                self._facts = getattr(found, "facts", None)
                self.condition.show_payload(self._facts)
                self.facts.set_words(
                    as_json(self._facts) if self._facts is not None else "Run the chain once to see it."
                )
                self._explain()

        self._editor.runs.ask_payload(edge.source, done)

    def _explain(self) -> None:
        edge, facts, shown = self._editor.edge, self._facts, self._shown
        if edge is None:
            return
        self._say_each()
        if edge.when is None or facts is None:
            self.condition.show_said(None)
            return

        def done(found: object) -> None:
            if shown == self._shown and self._editor.edge == edge:
                self.condition.show_said(
                    found, "this run" if self._editor.runs.run is not None else "the last run"
                )

        def failed(_: str) -> None:
            if shown == self._shown:
                self.condition.show_said(None)

        self._editor.previews.explain(edge.when, facts, done, failed)

    def _say_each(self) -> None:
        edge = self._editor.edge
        run = self._editor.runs.run
        mark = run.edges.get(self._editor.edges[0]) if edge is not None and run is not None else None
        words = ""
        if edge is not None and edge.each and mark is not None and mark.count >= 0:
            words = f"In this run: {mark.count} times."
        self.each_now.setText(words)
        self.each_now.setVisible(bool(words))

    def _toggle_facts(self) -> None:
        self.facts.setVisible(not self.facts.isVisible())

    # What a person does

    def _set(self, key: str, value: object, what: str, merge: str = "") -> None:
        edge = self._editor.edge
        if edge is not None:
            self._editor.set_edge(self._editor.edges[0], changed(edge.fields, key, value), what, merge)

    def _set_on(self, on: str) -> None:
        self._set("on", None if on == "success" else on, "the outcome")

    def _set_when(self, when: Mapping[str, object] | None, what: str) -> None:
        merge = f"when.{self._shown}.{what}" if what.startswith("edit.") else ""
        self._set("when", when, "the condition", merge)

    def _set_each(self, words: str) -> None:
        edge = self._editor.edge
        if edge is not None and words.strip() != edge.each:
            self._set("each", words.strip() or None, "the fan-out")

    def _set_delay(self) -> None:
        edge = self._editor.edge
        text = self.delay.text().strip().replace(",", ".")
        try:
            value = float(text) if text else 0.0
        except ValueError:
            show_error(self.delay, "Write a number of seconds.")
            return
        show_error(self.delay, "" if value >= 0 else "It cannot be less than nothing.")
        if edge is not None and value >= 0 and value != edge.delay_s:
            self._set("delay", (int(value) if value == int(value) else value) or None, "the delay")
