"""The form of what a model at a provider can: how much it holds, tools, images, thinking, JSON."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from app.theme.apply import repolish
from app.viewmodels.model_facts import ABILITIES, ModelFactsViewModel
from app.views.painted import PillRow
from app.views.parts import bind, button, column, fill, label, line, row, taking
from app.widgets.switch import Switch

FIELD = 116


class ModelFactsForm(QWidget):
    """Says what holds now; Save writes what was changed, Ask lets the model show it."""

    def __init__(self, facts: ModelFactsViewModel, close: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("model.facts")
        self.setAccessibleName("What the model can")
        self._facts = facts
        layout = column(self)
        top = column(margins=(12, 12, 12, 12), spacing=8)
        self.pills = PillRow("model.factsPills")
        note = label(
            "Many servers do not tell what their models can. What is set here holds for routing.",
            "small", "secondary", wraps=True,
        )  # fmt: skip
        self.ask = button(
            "Ask the model", "model.ask", facts.ask, icon="stethoscope",
            tip="Have it call a tool, keep to a schema, read a picture and think; some hundred tokens",
        )  # fmt: skip
        ask = row(spacing=6)
        fill(ask, self.ask, None)
        self.problem = label("", "small", "error", wraps=True, name="model.factsProblem")
        fill(top, self.pills, note, ask, self.problem)
        layout.addLayout(top)
        layout.addWidget(line())
        self.context = QLineEdit()
        self.context.setObjectName("model.context")
        self.context.setAccessibleName("Context in tokens")
        self.context.setToolTip("How many tokens it holds; empty means as the server tells")
        self.context.setPlaceholderText("as told")
        self.context.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.context.setMaximumWidth(FIELD)
        self.context.textEdited.connect(taking(str, facts.set_context))
        self.context.returnPressed.connect(facts.save)
        self.error = label("", "small", "error", wraps=True, name="model.contextError")
        layout.addWidget(
            self._row("Context", "Tokens it holds, question and answer.", self.context, self.error)
        )
        self.price_in, self.price_out = self._price("in", "question"), self._price("out", "answer")
        prices = QWidget()
        fill(row(prices, spacing=6), self.price_in, self.price_out)
        self.price_error = label("", "small", "error", wraps=True, name="model.priceError")
        about = "USD a million tokens, in and out; empty is unknown."
        fill(layout, line(), self._row("Price", about, prices, self.price_error))
        self.switches: dict[str, Switch] = {}
        self.found: dict[str, QLabel] = {}
        for ability, title, about in ABILITIES:
            switch = self.switches[ability] = Switch(title)
            switch.setObjectName(f"model.can.{ability}")
            switch.setToolTip(about)
            switch.toggled.connect(bind(self._switched, ability))
            found = self.found[ability] = label("", "small", wraps=True, name=f"model.found.{ability}")
            fill(layout, line(), self._row(title, about, switch, found))
        self.save = button(
            "Save", "model.saveFacts", facts.save, kind="primary", tip="Route by this from now on"
        )
        self.forget = button(
            "As the server tells", "model.forgetFacts", facts.forget, kind="ghost", icon="rotate-ccw",
            tip="Forget what was set here",
        )  # fmt: skip
        bottom = row(margins=(12, 12, 12, 12), spacing=6)
        fill(bottom, self.save, button("Cancel", "model.cancelFacts", close, kind="ghost"), None, self.forget)
        fill(layout, line(), bottom, None)
        facts.changed.connect(self.refresh)
        facts.finished.connect(close)

    def refresh(self) -> None:
        """What holds and what was found."""
        facts = self._facts
        self.pills.show_pills(*([("Set by you", "accent", "pencil")] if facts.is_described else []))
        if self.context.text().replace(",", "").replace(" ", "") != facts.context:
            self.context.setText(facts.context)
        _say(self.error, facts.context_error, "error")
        if bool(self.context.property("error")) != bool(facts.context_error):
            self.context.setProperty("error", bool(facts.context_error))
            repolish(self.context)
        for field, words in ((self.price_in, facts.price_in), (self.price_out, facts.price_out)):
            if field.text().strip().removeprefix("$") != words:
                field.setText(words)
        _say(self.price_error, facts.price_error, "error")
        for ability, switch in self.switches.items():
            switch.setChecked(facts.able.get(ability, False))
            finding = facts.findings.get(ability)
            tone = {True: "ok", False: "secondary", None: "tertiary"}[finding.is_able if finding else None]
            _say(self.found[ability], finding.why if finding else "", tone)
        self.ask.setText("Asking" if facts.is_asking else "Ask the model")
        _say(self.problem, facts.problem, "error")
        self.save.setEnabled(facts.can_save)
        self.save.setToolTip("Route by this from now on" if facts.can_save else "Nothing was changed")
        self.forget.setVisible(facts.is_described)

    def take_focus(self) -> None:
        """The first field has the focus."""
        self.context.setFocus(Qt.FocusReason.OtherFocusReason)
        self.context.selectAll()

    def _price(self, key: str, of: str) -> QLineEdit:
        made = QLineEdit()
        made.setObjectName(f"model.price.{key}")
        made.setAccessibleName(f"Price of a million tokens of {of} in USD")
        made.setToolTip(f"USD for a million tokens of {of}; 0 is free")
        made.setPlaceholderText(key)
        made.setAlignment(Qt.AlignmentFlag.AlignRight)
        made.setMaximumWidth(FIELD // 2 + 10)
        made.textEdited.connect(bind(self._priced))
        made.returnPressed.connect(self._facts.save)
        return made

    def _priced(self) -> None:
        self._facts.set_price(self.price_in.text(), self.price_out.text())

    def _switched(self, ability: str) -> None:
        self._facts.set_able(ability, self.switches[ability].isChecked())

    def _row(self, title: str, about: str, control: QWidget, below: QLabel) -> QWidget:
        made = QWidget()
        words = column(spacing=1)
        fill(words, label(title, "uiStrong"), label(about, "small", "secondary", wraps=True))
        beside = row(spacing=12)
        beside.addLayout(words, 1)
        beside.addWidget(control)
        layout = column(made, (12, 8, 12, 8), 4)
        fill(layout, beside, below)
        below.hide()
        return made


def _say(shown: QLabel, words: str, tone: str) -> None:
    shown.setText(words)
    shown.setVisible(bool(words))
    if shown.property("tone") != tone:
        shown.setProperty("tone", tone)
        repolish(shown)
