# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Routing page: the ladder with an inspector that tries routes, what answers cost, and the policies in force."""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QHideEvent, QKeyEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QMenu, QScrollArea, QStackedWidget, QWidget

from app.theme.icons import icon, paint_tier
from app.viewmodels.routing import RoutingViewModel
from app.viewmodels.routing_cards import Card
from app.viewmodels.routing_simulator import SimulatorViewModel
from app.viewmodels.routing_spend import SpendViewModel
from app.views.frame import PageFrame, opener
from app.views.parts import (
    ElidedLabel,
    Head,
    bind,
    button,
    column,
    fill,
    focus_quietly,
    frame,
    icon_button,
    label,
    line,
    row,
)
from app.views.routing.figures import Figures
from app.views.routing.instance import FactsPanel, InstancePanel
from app.views.routing.ladder import Ladder
from app.views.routing.policies import PoliciesTab
from app.views.routing.simulator import SimulatorPanel
from app.views.routing.spend import SpendTab
from app.views.scrolled import Scrolled
from app.views.services import Services
from app.views.tabs import Tabs

TABS = (("ladder", "Ladder"), ("spend", "Spend"), ("policies", "Policies"))
CALM_KEY = "routing/calm"
MOTION_KEY = "appearance.reduced_motion"


class TierMark(QWidget):
    """The mark of a tier beside a title."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(16, 16)
        self._tier = ""

    def show_tier(self, tier: str) -> None:
        """Draw this."""
        self._tier = tier
        self.setAccessibleName(f"tier: {tier}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_tier(painter, self._tier, 1, 1, 14)
        painter.end()


class RoutingPage(PageFrame):
    """Tabs in the head; the inspector belongs to the ladder."""

    def __init__(self, services: Services, go: Callable[[str], Any]) -> None:
        self._services = services
        self._go = go
        self.routing = RoutingViewModel(services.bridge, services.now)
        self.simulator = SimulatorViewModel(services.bridge)
        self.spend = SpendViewModel(services.bridge, services.now)
        main = self._make_main()
        inspector = self._make_inspector()
        super().__init__("routing", main, None, inspector)
        for model in (self.routing, self.simulator, self.spend):
            model.setParent(self)
        self._wants_inspector = True
        self.routing.changed.connect(self._show_ladder)
        self.routing.changed.connect(self.simulator.again)
        self.routing.selected_changed.connect(self._show_title)
        services.settings.changed.connect(self._show_policies)
        services.settings.value_changed.connect(bind(self._show_policies))
        self.calm.setChecked(services.store.flag(CALM_KEY))
        self._show_calm()
        self._show_policies()
        self._show_tab("ladder")

    # What it is made of

    def _make_main(self) -> QWidget:
        main = frame("page", "routing.main")
        main.setAccessibleName("Routing")
        layout = column(main)
        head = Head(left=16, right=12, spacing=8)
        self.tabs = Tabs("routing.tabs", "Sections of Routing", TABS, self._show_tab)
        self.calm = button(
            "Calm", "routing.calm", self._show_calm, icon="waves", kind="ghost",
            tip="Numbers instead of moving dots",
        )  # fmt: skip
        self.calm.setCheckable(True)
        self.trial = button(
            "Try a route", "routing.try", self._try, icon="flask-conical",
            tip="What would happen to a text; nothing is sent",
        )  # fmt: skip
        head.add(label("Routing", "heading"), 8, self.tabs, None, self.calm, self.trial, opener("routing"))
        layout.addWidget(head)
        self.stack = QStackedWidget()
        layout.addWidget(self.stack, 1)
        self.stack.addWidget(self._make_ladder())
        self.spend_tab = SpendTab(self.spend)
        self.policies = PoliciesTab(self._services.settings)
        self.stack.addWidget(self.spend_tab)
        self.stack.addWidget(self.policies)
        return main

    def _make_ladder(self) -> QWidget:
        page = QWidget()
        layout = column(page)
        self.figures = Figures("routing.figures", "The last hour")
        self.ladder = Ladder(self.routing, self._wish, self._add)
        scroll = QScrollArea()
        scroll.setObjectName("routing.scroll")
        scroll.setAccessibleName("Ladder")
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.ladder)
        foot = row(margins=(16, 4, 12, 4), spacing=16)
        self.in_force = ElidedLabel("", "small", "secondary", "routing.inForce")
        edit = button(
            "Edit policies",
            "routing.editPolicies",
            lambda: self.tabs.choose("policies"),
            kind="link",
            small=True,
        )
        fill(foot, label("In force", "caption", "tertiary"), self.in_force, None, edit)
        fill(layout, self.figures)
        layout.addWidget(scroll, 1)
        fill(layout, line("lineNormal"), foot)
        return page

    def _make_inspector(self) -> QWidget:
        panel = QWidget()
        panel.setObjectName("routing.panel")
        outer = column(panel)
        head = Head(left=12, right=8, spacing=8)
        self.mark = TierMark()
        self.title = ElidedLabel("", "section", name="routing.title")
        close = icon_button(
            "x", "routing.closeInspector", "Close the inspector", lambda: self.show_inspector(False), small=True,
            keys="Ctrl I",
        )  # fmt: skip
        self.provider = icon_button(
            "plug", "routing.provider", "Address, key and models of this provider",
            lambda: self._open_provider(self.routing.selected), small=True,
        )  # fmt: skip
        head.add(self.mark, self.title, None, self.provider, close)
        outer.addWidget(head)
        body = frame("scrolled")
        self.instance = InstancePanel(self.routing)
        self.facts = FactsPanel(self.routing)
        self.trial_panel = SimulatorPanel(self.simulator)
        fill(column(body), self.instance, line(), self.trial_panel, line(), self.facts, None)
        self._scroll = Scrolled(body, "routing.inspectorScroll", "Details of the instance")
        outer.addWidget(self._scroll, 1)
        return panel

    # What is shown

    def _show_tab(self, key: str) -> None:
        self.stack.setCurrentIndex([name for name, _ in TABS].index(key))
        self.calm.setVisible(key == "ladder")
        self.trial.setVisible(key == "ladder")
        if self.inspector is not None:
            self.offer_inspector(key == "ladder")
        self._watch()

    def _show_ladder(self) -> None:
        against = self.routing.saved_against
        tip = f"Saved: today's free answers at the price of {against}" if against else ""
        self.figures.show_figures(self.routing.figures, tip)
        self._show_title()

    def _show_title(self) -> None:
        card = self.routing.current
        self.title.set_words(card.name if card else "No instance")
        self.mark.show_tier(card.tier if card else "")
        self.provider.setVisible(card is not None and not card.is_builtin)

    def _show_policies(self) -> None:
        settings = self._services.settings
        parts: list[str] = []
        if settings.value("privacy.local_only", False):
            parts.append("Local only: nothing leaves this computer")
        if settings.value("network.offline", False):
            parts.append("Offline: only this computer is contacted")
        day_usd = float(settings.value("budget.day_usd", 0.0) or 0.0)
        if day_usd:
            parts.append(f"At most ${day_usd:,.2f} a day")
        tier = settings.value("chat.tier_max", "frontier")
        if tier != "frontier":
            parts.append(f"New chats go up to {str(tier).capitalize()}")
        self.in_force.set_words(
            ",  ".join(parts) or "No limit: any tier may answer, the nearest able one first"
        )
        self.ladder.is_still = bool(settings.value(MOTION_KEY, False))

    def _show_calm(self) -> None:
        is_calm = self.calm.isChecked()
        self._services.store.set_flag(CALM_KEY, is_calm)
        self.ladder.travel.set_calm(is_calm)

    # What a person does

    def run(self, verb: str) -> None:
        """Do what a command of this page says: try, spend, policies, ladder."""
        if verb == "try":
            self.tabs.choose("ladder")
            self._try()
        else:
            self.tabs.choose(verb)
            self.take_focus()

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The part of the tab that the arrows move in."""
        match self.tabs.current:
            case "spend":
                focus_quietly(self.spend_tab.table, reason)
            case "policies":
                self.policies.take_focus(reason)
            case _:
                self.ladder.take_focus(reason)

    def _try(self) -> None:
        self.show_inspector()
        self._scroll.ensureWidgetVisible(self.trial_panel, 0, 0)
        self.trial_panel.take_focus()

    def _wish(self, name: str, verb: str) -> None:
        self.routing.select(name)
        card = self.routing.current
        if card is None:
            return
        match verb:
            case "trip":
                self.routing.trip(name)
            case "drain":
                self.routing.drain(name)
            case "reset":
                self.routing.reset(name)
            case "menu":
                self._open_menu(card)
            case _:
                self.routing.test(name)

    def _open_menu(self, card: Card) -> None:
        menu = QMenu(self)
        menu.setObjectName("routing.menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        is_by_hand = card.state in ("tripped", "draining")
        acts: tuple[tuple[str, str, str, bool, Callable[[], None]], ...] = (
            ("Trip", "circle-x", "T", not is_by_hand, lambda: self.routing.trip(card.name)),
            ("Drain", "circle-pause", "D", not is_by_hand, lambda: self.routing.drain(card.name)),
            ("Reset", "rotate-ccw", "R", card.is_shut, lambda: self.routing.reset(card.name)),
            ("Test", "stethoscope", "Enter", True, lambda: self.routing.test(card.name)),
            ("Provider…", "plug", "", not card.is_builtin, lambda: self._open_provider(card.name)),
            ("Copy address", "copy", "", bool(card.base_url), lambda: QGuiApplication.clipboard().setText(card.base_url)),
        )  # fmt: skip
        for title, icon_name, keys, can, act in acts:
            made = menu.addAction(icon(icon_name), f"{title}\t{keys}" if keys else title)
            made.setObjectName(f"routing.menu.{title.rstrip('…').lower().replace(' ', '')}")
            made.setEnabled(can)
            made.triggered.connect(bind(act))
        place = self.ladder.cards[card.name]
        menu.popup(place.mapToGlobal(QPoint(24, place.height() // 2)))

    def _add(self, tier: str) -> None:
        page = self._go("models")
        page.tabs.choose("providers")
        page.add_provider(tier)

    def _open_provider(self, name: str) -> None:
        page = self._go("models")
        page.choose_provider(name)

    # Seen or not

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._watch()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._watch(is_hidden=True)

    def _watch(self, *, is_hidden: bool = False) -> None:
        is_seen = not is_hidden and self.isVisible()
        tab = self.tabs.current
        self.routing.watch(is_seen and tab == "ladder")
        self.spend.watch(is_seen and tab == "spend")
        if not is_seen:
            self.simulator.stop()
            self.ladder.travel.rest()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps: dict[int, int] = {Qt.Key.Key_PageDown: 1, Qt.Key.Key_PageUp: -1}
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.key() in steps:
            self.tabs.step(steps[event.key()])
            return
        super().keyPressEvent(event)
