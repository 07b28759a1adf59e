"""The upper part of the inspector: one instance, what shut it, what can be done, and how long it makes people wait."""

from collections.abc import Callable

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.theme.apply import repolish
from app.viewmodels import wording
from app.viewmodels.routing import RoutingViewModel
from app.viewmodels.routing_cards import Card, Fault
from app.views.painted import KeyValues
from app.views.parts import ElidedLabel, button, column, fill, label, line, row
from app.widgets.cooldown import Cooldown
from app.widgets.flow import FlowLayout
from app.widgets.sparkline import Sparkline

ICON_TONES = {"ok": "ok", "warn": "warn", "err": "error", "neutral": "secondary"}


class FaultRow(QWidget):
    """When, what, and how long it took; the provider's own words are in the tooltip."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.setAccessibleName(f"{fault.at}, {fault.words}, {fault.took}. {fault.why}")
        self.setToolTip(fault.why)
        layout = row(self, (12, 2, 12, 2), 8)
        fill(
            layout,
            label(fault.at, "small", "tertiary"),
            ElidedLabel(fault.words, "small"),
            None,
            label(fault.took, "small", "tertiary"),
        )


class InstancePanel(QWidget):
    """Follows the selection of the ladder."""

    def __init__(self, routing: RoutingViewModel) -> None:
        super().__init__()
        self.setObjectName("routing.instance")
        self.setAccessibleName("Instance")
        self._routing = routing
        layout = column(self)
        self.arc = Cooldown("routing.cooldown")
        self.state = label("", "section", name="routing.state")
        self.sentence = label("", "small", "secondary", wraps=True, name="routing.sentence")
        words = column(spacing=2)
        fill(words, self.state, self.sentence, None)
        top = row(margins=(12, 12, 12, 10), spacing=12)
        top.addWidget(self.arc)
        top.addLayout(words, 1)
        self.reset = button(
            "Reset", "routing.reset", self._act("reset"), icon="rotate-ccw", small=True,
            tip="Close its circuit, forget its failures, take requests again  R",
        )  # fmt: skip
        self.trip = button(
            "Trip", "routing.trip", self._act("trip"), icon="circle-x", small=True,
            tip="Open its circuit: nothing goes there until it is reset  T",
        )  # fmt: skip
        self.drain = button(
            "Drain", "routing.drain", self._act("drain"), icon="circle-pause", small=True,
            tip="Let it finish what runs and take nothing new  D",
        )  # fmt: skip
        self.test = button(
            "Test", "routing.test", self._act("test"), icon="stethoscope", small=True,
            tip="Ask whether it is there and the key is right  Enter",
        )  # fmt: skip
        buttons = QWidget()
        flow = FlowLayout(buttons)
        for made in (self.reset, self.trip, self.drain, self.test):
            flow.addWidget(made)
        holder = column(margins=(12, 0, 12, 12), spacing=8)
        self.result = label("", "small", wraps=True, name="routing.testResult")
        fill(holder, buttons, self.result)
        self._faults: QVBoxLayout = column(margins=(0, 0, 0, 8))
        self._faults_part = _part("Last failures", self._faults)
        self.waits = Sparkline("routing.waits")
        waits = column(margins=(12, 0, 12, 8))
        waits.addWidget(self.waits)
        self._waits_part = _part("Wait for the first token, last hour", waits)
        fill(layout, top, holder, self._faults_part, self._waits_part)
        routing.changed.connect(self.refresh)
        routing.selected_changed.connect(self.refresh)
        routing.ticked.connect(self._tick)
        self._shown_faults: tuple[Fault, ...] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Show the selected instance as it is now."""
        card = self._routing.current
        self.setVisible(card is not None)
        if card is None:
            return
        self._say(card)
        is_by_hand = card.state in ("tripped", "draining")
        self.reset.setVisible(card.is_shut and card.state not in ("problem", "empty"))
        # An open circuit needs no trip; the key still does it.
        self.trip.setVisible(not is_by_hand and card.state != "open")
        self.drain.setVisible(not is_by_hand)
        is_testing = card.name in self._routing.testing
        # It stays enabled: a button that is shut gives its focus on, here to another act.
        self.test.setText("Testing" if is_testing else "Test")
        result = self._routing.results.get(card.name)
        self.result.setVisible(result is not None)
        if result is not None:
            self.result.setText(result.why)
            self.result.setProperty("tone", "ok" if result.is_ok else "error")
            repolish(self.result)
        self._show_faults(card)
        has_waits = len(card.waits) > 1
        self._waits_part.setVisible(has_waits)
        if has_waits:
            longest = wording.duration(max(card.waits))
            self.waits.show_values(
                card.waits, longest,
                f"{wording.plural(len(card.waits), 'answer')}, the longest wait {longest}, "
                f"the last one {wording.duration(card.waits[-1])}",
            )  # fmt: skip

    def _say(self, card: Card) -> None:
        now = self._routing.now()
        left_s = card.left_s(now)
        title = {
            "open": "Circuit open",
            "half_open": "Circuit half-open",
            "probing": "Circuit half-open",
            "closed": "Circuit closed",
        }
        words = title.get(card.state, card.word)
        if self.state.text() != words:
            self.state.setText(words)
        if self.state.property("tone") != ICON_TONES[card.tone]:
            self.state.setProperty("tone", ICON_TONES[card.tone])
            repolish(self.state)
        sentence = card.sentence
        if left_s > 0:
            verb = "One probe is let through" if card.state == "open" else "Asked again"
            before = "3 failures in 300 s. " if card.state == "open" else f"{card.sentence} "
            sentence = f"{before}{verb} in {wording.short_span(left_s)}."
        elif card.state == "closed":
            sentence = f"{card.pips} in the last 300 s." if card.failures else "No failure in the last 300 s."
        self.sentence.setText(sentence)
        self.arc.show_state(f"{words}. {sentence}", card.tone, card.icon, left_s, card.whole_s)

    def _show_faults(self, card: Card) -> None:
        self._faults_part.setVisible(bool(card.faults))
        if card.faults == self._shown_faults:
            return
        self._shown_faults = card.faults
        while (item := self._faults.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        for fault in card.faults:
            self._faults.addWidget(FaultRow(fault))

    def _tick(self) -> None:
        card = self._routing.current
        if card is not None and card.until is not None:
            self._say(card)

    def _act(self, verb: str) -> Callable[[], None]:
        def act() -> None:
            getattr(self._routing, verb)(self._routing.selected)

        return act


class FactsPanel(QWidget):
    """What was measured of the selected instance, and where it is."""

    def __init__(self, routing: RoutingViewModel) -> None:
        super().__init__()
        self.setObjectName("routing.factsPanel")
        self._routing = routing
        self.facts = KeyValues("routing.facts")
        fill(column(self), _caption("Measured here"), self.facts)
        routing.changed.connect(self.refresh)
        routing.selected_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Of the selected instance."""
        card = self._routing.current
        self.setVisible(card is not None)
        if card is not None:
            self.facts.show_pairs(card.facts)


def _part(words: str, content: QVBoxLayout) -> QWidget:
    """A part of the panel that is there only while it has something to show."""
    made = QWidget()
    fill(column(made), line(), _caption(words), content)
    return made


def _caption(words: str) -> QWidget:
    made = label(words, "caption", "tertiary")
    made.setContentsMargins(12, 10, 12, 4)
    return made
