from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PySide6.QtWidgets import QApplication, QWidget

from app.views.chat.empty import ExampleCard
from app.views.store import Store
from app.views.strip import StripButton
from app.views.window import SIZE, SIZE_MIN, TITLE_BAR, first_size, fit_to_screens, within
from tests.gui.conftest import Person

SCREEN = QRect(0, 0, 1920, 1080)


class WindowWatch(QObject):
    """Notes every window that is shown."""

    def __init__(self, known: QWidget) -> None:
        super().__init__()
        self.known = known
        self.seen: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.Show
            and isinstance(watched, QWidget)
            and watched.isWindow()
            and watched is not self.known
        ):
            self.seen.append(f"{type(watched).__name__} {watched.objectName()!r}")
        return False


@pytest.mark.parametrize("page", ["models", "settings"])
def test_building_a_page_opens_no_other_window(person: Person, qapp: QApplication, page: str) -> None:
    watch = WindowWatch(person.window)
    qapp.installEventFilter(watch)
    person.window.go(page)
    person.settle()
    qapp.removeEventFilter(watch)
    assert watch.seen == []


def test_a_window_of_a_screen_that_is_gone_comes_back_to_one_that_is_there() -> None:
    box = fit_to_screens({"x": 5000, "y": -900, "w": 1280, "h": 800}, [SCREEN])
    assert box is not None
    assert SCREEN.contains(box)


def test_a_window_larger_than_the_screen_is_cut_and_one_too_small_grows() -> None:
    large = fit_to_screens({"x": 0, "y": 0, "w": 4000, "h": 3000}, [SCREEN])
    small = fit_to_screens({"x": 10, "y": 10, "w": 10, "h": 10}, [SCREEN])
    assert large is not None
    assert small is not None
    assert large.size() == QSize(1920, 1080 - TITLE_BAR)
    assert small.size() == SIZE_MIN


def test_a_window_that_fits_stays_where_it_was() -> None:
    assert fit_to_screens({"x": 100, "y": 50, "w": 1280, "h": 800}, [SCREEN]) == QRect(100, 50, 1280, 800)


@pytest.mark.parametrize("held", [{}, {"x": 1}, {"w": 1, "h": 2}])
def test_without_a_remembered_place_none_is_made_up(held: dict[str, int]) -> None:
    assert fit_to_screens(held, [SCREEN]) is None


def test_what_the_window_remembers_is_read_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "window.ini")
    store.set_numbers("geometry", {"x": 1, "y": 2, "w": 3, "h": 4})
    store.set_flag("wizard/done", True)
    store.set_text("look/theme", "dark")
    store.save()
    again = Store(tmp_path / "window.ini")
    assert again.numbers("geometry") == {"x": 1, "y": 2, "w": 3, "h": 4}
    assert again.flag("wizard/done")
    assert again.text("look/theme") == "dark"


@pytest.mark.parametrize("content", ["\x00\xff", "[General]\ngeometry=not json\n", "[[[["])
def test_a_broken_memory_counts_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "window.ini"
    path.write_text(content, encoding="latin-1")
    store = Store(path)
    assert store.numbers("geometry") == {}
    assert not store.flag("wizard/done")


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("page", ["chat", "models", "settings"])
def test_at_any_text_size_no_button_cuts_its_words_in_the_smallest_window(
    person: Person, qapp: QApplication, page: str, scale: float
) -> None:
    from app.theme.apply import apply

    apply(qapp, "light", scale)
    person.window.resize(SIZE_MIN)
    person.window.go(page)
    person.settle()
    cut = [
        f"{made.objectName()}: {made.width()} < {made.sizeHint().width()}"
        for made in person.window.findChildren(StripButton)
        if made.isVisible() and made.width() < made.sizeHint().width()
    ]
    assert cut == []


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.5, 2.0])
def test_what_the_set_up_says_is_never_cut(qapp: QApplication, scale: float) -> None:
    from app.theme.apply import apply, look
    from app.views.wizard_parts import NOTE, NOTE_PX, SIDE

    apply(qapp, "light", scale)
    wraps = int(Qt.TextFlag.TextWordWrap)
    needed = look().metrics("small").boundingRect(QRect(0, 0, SIDE - 48, 9_999), wraps, NOTE).height()
    room = look().px(NOTE_PX)
    assert needed <= room
    assert "Only a model that you pick is downloaded" in NOTE  # which the next step offers


def test_the_engine_that_could_not_start_is_said_in_the_strip_and_a_banner(person: Person) -> None:
    person.stage.bridge.give_up("Port 4567 is in use.")
    person.services.status.engine_failed("Port 4567 is in use.")
    person.window.notices.engine_failed("Port 4567 is in use.")
    person.settle()
    assert person.window.strip.buttons["engine"].text() == "Engine stopped"
    assert person.window.banner.isVisible()
    assert person.window.banner.words.text() == "Port 4567 is in use."


def test_faults_of_the_configuration_are_told_and_shown_in_settings(person: Person) -> None:
    person.legion.settings.problems = ("line 2: server.port: this takes a whole number",)
    person.services.settings.refresh()
    person.settle()
    assert "line 2" in person.window.banner.words.text()
    person.window.go("settings")
    person.settle()
    card = person.find("settings.faults")
    assert "line 2" in card.accessibleName()


def test_closing_without_a_tray_minimises_and_says_why_once(person: Person) -> None:
    person.window.close()
    person.settle()
    assert person.window.isMinimized()
    assert "no tray" in person.window.banner.words.text()
    person.window.banner.dismiss()
    person.window.showNormal()
    person.window.close()
    assert not person.window.banner.isVisible()


def test_a_theme_chosen_by_command_is_in_force_and_kept(person: Person) -> None:
    from app.theme.apply import look

    person.services.commands.run("theme.dark")
    person.settle()
    assert look().theme == "dark"
    assert person.legion.settings.get("appearance.theme") == "dark"
    person.services.commands.run("text.larger")
    person.settle()
    assert person.legion.settings.get("appearance.text_scale") == 1.1


def test_the_first_window_fits_a_small_screen_with_its_title_bar() -> None:
    small = QRect(0, 0, 1280, 800)
    assert first_size([SCREEN]) == SIZE
    assert first_size([small]).width() == 1280
    assert first_size([small]).height() < 800
    assert first_size([QRect(0, 0, 640, 480)]) == SIZE_MIN
    assert first_size([]) == SIZE


def test_the_frame_counts_too_when_a_window_is_brought_onto_its_screen() -> None:
    small = QRect(0, 0, 1280, 800)
    client = QRect(0, 20, 1280, 800)
    placed = within(small, client, client.adjusted(0, -20, 0, 0))
    assert placed == QRect(0, 20, 1280, 780)
    fits = QRect(100, 100, 900, 600)
    assert within(small, fits, fits.adjusted(-4, -30, 4, 4)) == fits


def test_a_remembered_window_as_large_as_the_screen_leaves_room_for_its_title_bar() -> None:
    small = QRect(0, 0, 1280, 800)
    box = fit_to_screens({"x": 0, "y": 20, "w": 1280, "h": 800, "title": 20}, [small])
    assert box == QRect(0, 20, 1280, 780)


def test_the_starter_cannot_be_removed_and_says_why(person: Person) -> None:
    person.window.go("models")
    person.services.models.select("smollm2-135m-instruct")
    person.settle()
    remove = person.find("models.remove")
    assert not remove.isEnabled()
    assert "always a model" in remove.toolTip()
    assert remove.property("kind") == "ghost"
    person.services.models.select("qwen3-coder-30b-a3b")
    assert remove.isEnabled()
    assert remove.property("kind") == "ghostDanger"


def test_whoever_comes_back_to_the_window_finds_in_force_what_was_written_by_hand(person: Person) -> None:
    window, settings = person.window, person.legion.settings
    before = settings.looks
    other = QWidget()
    person.qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    person.qtbot.waitUntil(lambda: not window.isActiveWindow())
    assert settings.looks == before
    window.activateWindow()
    person.qtbot.waitUntil(window.isActiveWindow)
    person.settle()
    assert settings.looks == before + 1


def test_the_cards_of_a_new_chat_are_as_tall_as_their_words_where_there_is_little_room(
    person: Person,
) -> None:
    window = person.window
    window.resize(1100, 700)
    window.chat_page.show_inspector()
    person.settle()
    cards = window.findChildren(ExampleCard)
    assert len(cards) == 3
    for card in cards:
        assert card.width() < 200
        assert card.height() >= card.heightForWidth(card.width())
    assert max(card.height() for card in cards) > 124
    window.resize(1600, 900)
    person.settle()
    assert {card.height() for card in cards} == {124}
