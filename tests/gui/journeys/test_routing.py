"""The Routing page, by keyboard and by mouse."""

import msgspec
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu

from app.views.models.page import ModelsPage
from app.views.routing.card import InstanceCard
from app.views.routing.page import RoutingPage
from legion_core.api.routes import AttemptBegan, AttemptEnded
from legion_core.api.types import SummaryRow
from tests.gui.conftest import Person
from tests.gui.fake_legion import setting


def routing_page(person: Person) -> RoutingPage:
    person.press("Ctrl+3")
    page = person.window.current
    assert isinstance(page, RoutingPage)
    return page


def card(page: RoutingPage, name: str) -> InstanceCard:
    return page.ladder.cards[name]


def test_the_page_opens_by_its_key_on_an_instance_that_needs_a_look(person: Person) -> None:
    page = routing_page(person)
    assert person.focused is card(page, "openai-main")
    assert page.title.words() == "openai-main"
    assert page.instance.state.text() == "Circuit open"
    assert "41 s" in page.instance.sentence.text()
    assert page.instance.arc.share == 41 / 60
    assert "Open, 41 s" in card(page, "openai-main").accessibleName()
    assert "3 of 3 failures" in card(page, "openai-main").accessibleName()


def test_arrows_walk_the_ladder_and_the_inspector_follows(person: Person) -> None:
    page = routing_page(person)
    person.press("Down")
    assert person.focused.objectName() == "routing.add.fleet"
    person.press("Down")
    person.press("Down")
    assert person.focused is card(page, "built-in")
    assert page.title.words() == "built-in"
    assert page.provider.isHidden()
    person.press("Home")
    assert person.focused.objectName() == "routing.add.frontier"
    person.press("End")
    person.press("Left")
    assert person.focused is card(page, "built-in")


def test_an_instance_is_tripped_drained_and_reset_by_single_keys(person: Person) -> None:
    page = routing_page(person)
    person.press("R")
    assert ("reset", "openai-main") in person.legion.providers.calls
    assert card(page, "openai-main").card.state != "open"
    person.press("D")
    assert page.instance.state.text() == "Drained"
    assert page.instance.reset.isVisible()
    assert not page.instance.drain.isVisible()
    person.press("T")
    person.press("Return")
    assert [call[0] for call in person.legion.providers.calls] == ["reset", "drain", "trip", "test"]
    assert "210 ms" in page.instance.result.text()


def test_an_instance_is_chosen_and_reset_by_mouse(person: Person) -> None:
    page = routing_page(person)
    person.qtbot.mouseClick(card(page, "built-in"), Qt.MouseButton.LeftButton)
    person.settle()
    assert page.title.words() == "built-in"
    person.qtbot.mouseClick(card(page, "openai-main"), Qt.MouseButton.LeftButton)
    person.qtbot.mouseClick(page.instance.reset, Qt.MouseButton.LeftButton)
    person.settle()
    assert person.legion.providers.calls[-1] == ("reset", "openai-main")


def test_a_test_keeps_the_focus_on_its_own_button(person: Person) -> None:
    page = routing_page(person)
    page.instance.test.setFocus()
    person.press("Space")
    assert person.focused is page.instance.test
    assert "210 ms" in page.instance.result.text()


def test_a_chosen_card_stays_chosen_when_it_is_pressed_again(person: Person) -> None:
    page = routing_page(person)
    for _ in range(2):
        person.qtbot.mouseClick(card(page, "built-in"), Qt.MouseButton.LeftButton)
        assert [name for name, made in page.ladder.cards.items() if made.isChecked()] == ["built-in"]


def test_a_card_has_a_menu_of_what_can_be_done_now(person: Person) -> None:
    page = routing_page(person)
    at = QPoint(5, 5)
    where = card(page, "openai-main").mapToGlobal(at)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, at, where)
    QApplication.sendEvent(card(page, "openai-main"), event)
    person.settle()
    menu = page.findChild(QMenu, "routing.menu")
    assert isinstance(menu, QMenu)
    acts = {act.objectName().rpartition(".")[2]: act for act in menu.actions()}
    assert list(acts) == ["trip", "drain", "reset", "test", "provider", "copyaddress"]
    acts["copyaddress"].trigger()
    assert QApplication.clipboard().text() == "https://api.openai.com/v1"
    acts["drain"].trigger()
    menu.close()
    person.settle()
    assert ("drain", "openai-main") in person.legion.providers.calls


def test_a_route_is_tried_by_keyboard_and_every_lane_says_why(person: Person) -> None:
    page = routing_page(person)
    person.services.commands.run("routing.try")
    person.settle()
    assert person.focused is page.trial_panel.question
    person.type("a scanned lease")
    person.press("Ctrl+Return")
    rows = page.trial_panel.rows()
    assert [(row.name, row.word) for row in rows] == [
        ("built-in/smollm2-135m", "Chosen"),
        ("openai-main/gpt-x", "Circuit open"),
    ]
    assert "would go to built-in/smollm2-135m" in page.trial_panel.verdict.text()
    person.press("Tab")
    assert person.focused is page.trial_panel.needs["vision"]
    person.press("Space")
    page.simulator.ask()
    assert person.legion.routes.calls[-1][2] == ("vision",)
    assert not [call for call in person.legion.chat.calls if call[0] == "send"]


def test_a_live_request_is_a_dot_and_a_number_and_calm_is_only_the_number(person: Person) -> None:
    page = routing_page(person)
    at_utc, at_mono_s = person.legion.events.stamp()
    person.legion.events.publish(
        AttemptBegan(
            at_utc=at_utc, at_mono_s=at_mono_s, request_id="r1", number=1, tier="local", instance="built-in", model="m"
        )
    )  # fmt: skip
    person.settle()
    assert page.ladder.travel.dots == {"r1": "local"}
    assert "1 running" in card(page, "built-in").accessibleName()
    page.calm.click()
    assert not page.ladder.travel.is_moving
    person.legion.events.publish(
        AttemptEnded(
            at_utc=at_utc, at_mono_s=at_mono_s, request_id="r1", number=1, tier="local", instance="built-in",
            model="m", outcome="succeeded",
        )
    )  # fmt: skip
    person.settle()
    assert page.ladder.travel.dots == {}
    assert not page.ladder.travel.is_moving
    assert "0 running" in card(page, "built-in").accessibleName()


def test_with_reduced_motion_nothing_travels(person: Person) -> None:
    person.legion.settings.values.append(
        setting("appearance.reduced_motion", "Reduced motion", "bool", True, group="Appearance")
    )
    person.services.settings.refresh()
    page = routing_page(person)
    page.ladder.travel.rest()
    at_utc, at_mono_s = person.legion.events.stamp()
    person.legion.events.publish(
        AttemptBegan(
            at_utc=at_utc, at_mono_s=at_mono_s, request_id="r1", number=1, tier="local", instance="built-in", model="m"
        )
    )  # fmt: skip
    person.settle()
    assert page.ladder.travel.dots == {"r1": "local"}
    assert not page.ladder.travel.is_moving


def test_leaving_the_page_stops_everything_that_runs(person: Person) -> None:
    page = routing_page(person)
    assert page.routing._tick.isActive()
    person.press("Ctrl+1")
    assert not page.routing._tick.isActive()
    assert not page.ladder.travel.is_moving
    asked = len(person.legion.routes.calls)
    person.legion.providers._changed("openai-main")
    person.settle()
    assert len(person.legion.routes.calls) == asked
    person.press("Ctrl+3")
    assert len(person.legion.routes.calls) == asked + 1


def test_spend_is_walked_and_an_unknown_price_is_said(person: Person) -> None:
    person.legion.llm.sums = {
        "day": (SummaryRow(key="2026-06-17", attempts=3, input_tokens=9, output_tokens=9, cost_usd=0.5, unpriced=1),),
        "tier": (SummaryRow(key="frontier", attempts=1, input_tokens=9, output_tokens=9, cost_usd=0.0, unpriced=1),),
    }  # fmt: skip
    page = routing_page(person)
    person.services.commands.run("routing.spend")
    person.settle()
    assert page.tabs.current == "spend"
    assert person.focused is page.spend_tab.table
    assert "1 of unknown price" in page.spend_tab.figures.accessibleName()
    page.spend_tab.chart.setFocus(Qt.FocusReason.TabFocusReason)
    person.press("End")
    assert page.spend_tab.said.words() == "17 Jun: $0.50, 18 tokens, 1 of unknown price"
    person.press("Left")
    assert page.spend_tab.said.words() == "16 Jun: nothing asked"
    page.spend_tab.by._buttons["day"].setFocus(Qt.FocusReason.TabFocusReason)
    person.press("Right")
    (line,) = page.spend_tab.table.lines.rows
    assert (line.title, line.cells[3].words) == ("Frontier", "price unknown")


def test_an_empty_ledger_is_said(person: Person) -> None:
    page = routing_page(person)
    page.tabs.choose("spend")
    person.settle()
    assert page.spend_tab.empty.isVisible()
    assert not page.spend_tab.table.isVisible()


def test_policies_are_the_settings_of_the_schema_and_change_at_once(person: Person) -> None:
    person.legion.settings.values.append(
        setting("privacy.local_only", "Local only", "bool", False, group="Privacy")
    )
    person.services.settings.refresh()
    page = routing_page(person)
    person.services.commands.run("routing.policies")
    person.settle()
    assert "privacy.local_only" in page.policies.rows
    switch = page.policies.rows["privacy.local_only"].control
    assert person.focused.objectName().startswith("setting.")
    switch.setFocus(Qt.FocusReason.TabFocusReason)
    person.press("Space")
    assert person.legion.settings.get("privacy.local_only") is True
    assert "nothing leaves this computer" in page.in_force.words()


def test_a_tier_that_a_policy_closes_says_so(person: Person) -> None:
    person.legion.routes.closed = {"cloud": "Local only is switched on"}
    page = routing_page(person)
    cloud = next(rung for rung in page.routing.rungs if rung.tier == "cloud")
    assert cloud.closed == "Local only is switched on"
    assert "Cloud: openai-main open; Local only is switched on" in page.ladder.accessibleDescription()
    page.ladder.grab()


def test_an_instance_is_added_from_its_rung_and_its_provider_is_opened_from_the_inspector(
    person: Person,
) -> None:
    page = routing_page(person)
    person.press("Home")
    person.press("Return")
    models = person.window.current
    assert isinstance(models, ModelsPage)
    assert models.provider_panel.is_form
    person.press("Ctrl+3")
    page.routing.select("openai-main")
    page.provider.click()
    person.settle()
    assert models.tabs.current == "providers"
    assert models.provider_panel.title.words() == "openai-main"


def test_more_instances_than_fit_make_their_rung_higher_and_all_can_be_reached(person: Person) -> None:
    row = person.legion.providers.rows["openai-main"]
    for number in range(7):
        person.legion.providers.rows[f"c{number}"] = msgspec.structs.replace(
            row, name=f"c{number}", circuit="closed", retry_in_s=0.0, failures=0
        )
    page = routing_page(person)
    places = {card.geometry().topLeft().toTuple() for card in page.ladder.cards.values()}  # type: ignore[attr-defined]
    assert len(places) == 9
    seen = set()
    person.press("Home")
    for _ in range(40):
        focused = person.focused
        if isinstance(focused, InstanceCard):
            seen.add(focused.card.name)
        person.press("Right")
        if person.focused is focused:
            while True:
                before = person.focused
                person.press("Left")
                if person.focused is before:
                    break
                if isinstance(person.focused, InstanceCard):
                    seen.add(person.focused.card.name)
            below = person.focused
            if isinstance(below, InstanceCard):
                seen.add(below.card.name)
            person.press("Down")
            if person.focused is below:
                break
    assert {f"c{number}" for number in range(7)} <= seen


def test_nothing_is_clipped_in_the_smallest_window(person: Person) -> None:
    page = routing_page(person)
    person.window.resize(900, 560)
    person.settle()
    for made in page.ladder.cards.values():
        assert made.geometry().right() <= page.ladder.width()
        assert made.height() >= 98
    page.ladder.grab()
    for tab in ("spend", "policies", "ladder"):
        page.tabs.choose(tab)
        person.settle()
        page.grab()


def test_hovering_a_day_says_it(person: Person) -> None:
    page = routing_page(person)
    page.tabs.choose("spend")
    person.settle()
    chart = page.spend_tab.chart
    spot = QPointF(chart.width() - 30, chart.height() / 2)
    event = QMouseEvent(
        QEvent.Type.MouseMove, spot, chart.mapToGlobal(spot), Qt.MouseButton.NoButton, Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(chart, event)
    assert page.spend_tab.said.words() == "17 Jun: nothing asked"


def test_in_a_small_window_the_page_opens_on_the_instance_that_is_looked_at(person: Person) -> None:
    """The local rung is the lowest: a small window would open without any instance in it."""
    person.window.resize(900, 560)
    page = routing_page(person)
    page.routing.select("built-in")
    page.take_focus()
    QApplication.processEvents()
    chosen = card(page, "built-in")
    assert person.focused is chosen
    assert chosen.visibleRegion().boundingRect().height() > chosen.height() * 0.9


def test_an_empty_place_opens_the_form_for_its_own_tier(person: Person) -> None:
    page = routing_page(person)
    page.ladder.slots["frontier"].click()
    person.settle()
    models = person.window.current
    assert isinstance(models, ModelsPage)
    form = models.provider_panel.form
    assert (form.kind.currentData(), form.tier.currentData()) == ("openai", "frontier")
    form.kind.setCurrentIndex(form.kind.findData("ollama"))
    assert person.services.providers.spec.tier == "frontier"
    models.add_provider()
    assert person.services.providers.spec.tier == ""
