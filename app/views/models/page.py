# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Models page: what is installed, what can be had, who else can be asked, and how the engine is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QLineEdit, QStackedWidget, QWidget

from app.theme.apply import look
from app.viewmodels import wording
from app.viewmodels.chat import ChatViewModel
from app.viewmodels.models import FIT_WORDS, estimate, hardware_words, process_words
from app.viewmodels.providers import circuit_pill
from app.views.about import ask_private_download, ask_remove_model, ask_remove_provider
from app.views.frame import PageFrame, opener
from app.views.models.downloads import Downloads
from app.views.models.found import FoundServers
from app.views.models.inspector import ModelInspector
from app.views.models.offers import OfferInspector
from app.views.models.pills import FilterPills
from app.views.models.providers import ProviderPanel
from app.views.parts import (
    ElidedLabel,
    Head,
    button,
    column,
    fill,
    focus_quietly,
    frame,
    label,
    line,
    row,
    search_field,
    taking,
)
from app.views.rows import Cell, Column, Line, Lines, Pill
from app.views.services import Services
from app.views.tabs import Tabs

INSTALLED = (
    Column("Params", 50), Column("Quant", 72), Column("Size", 62, True), Column("Context", 54, True),
    Column("Fit", 84), Column("tok/s", 56, True),
)  # fmt: skip
OFFERS = (
    Column("Params", 60),
    Column("Quant", 72),
    Column("Size", 70, True),
    Column("Context", 60, True),
    Column("Fit", 100),
)
PROVIDERS = (Column("Address", 220), Column("Models", 64, True), Column("State", 110))
SEARCH_FROM = 700  # width of the page in px at normal text size
CHECKS = (Column("State", 110),)
CHECK_PILLS = {
    "ok": ("Good", "ok", "circle-check"),
    "warning": ("Look at it", "warn", "triangle-alert"),
    "failed": ("Failed", "err", "circle-x"),
}
PROCESS_PILLS = {
    "ready": ("Running", "ok", "circle-check"),
    "starting": ("Starting", "accent", "loader"),
    "backing_off": ("Waiting", "warn", "triangle-alert"),
    "stopped": ("Not loaded", "neutral", "circle-dashed"),
}
TABS = (
    ("installed", "Installed"),
    ("discover", "Discover"),
    ("providers", "Providers"),
    ("engines", "Engines"),
)


class ModelsPage(PageFrame):
    """Tabs in the head; the inspector belongs to the tab."""

    def __init__(self, services: Services, go: Callable[[str], Any]) -> None:
        self._services = services
        self._go = go
        self._checks: tuple[Any, ...] = ()
        main = self._make_main()
        self.inspectors = QStackedWidget()
        self.model_panel = ModelInspector(services.models, self._chat_with, self._ask_remove, self._close)
        self.offer_panel = OfferInspector(services.models, self._close)
        self.provider_panel = ProviderPanel(services.providers, self._ask_remove_provider, self._close)
        for panel in (self.model_panel, self.offer_panel, self.provider_panel):
            self.inspectors.addWidget(panel)
        super().__init__("models", main, None, self.inspectors)
        self.setAcceptDrops(True)
        self._wants_inspector = True
        services.models.changed.connect(self._show_models)
        services.models.selected_changed.connect(lambda: self.installed.select(services.models.selected))
        services.models.busy_changed.connect(self._show_models)
        services.models.private_asked.connect(self._ask_private)
        services.providers.changed.connect(self._show_providers)
        services.bridge.connected.connect(self._visit)
        self._visit()
        # Another page may have asked for all this before, such as the one of the first start: it is not told again.
        self._show_models()
        self._show_providers()
        self._show_tab("installed")

    # The main area

    def _make_main(self) -> QWidget:
        main = frame("page", "models.main")
        main.setAccessibleName("Models")
        layout = column(main)
        self._head = Head(left=16, right=12, spacing=8)
        self.tabs = Tabs("models.tabs", "Sections of Models", TABS, self._show_tab)
        self.search = search_field("Search models", "models.search")
        self.search.textChanged.connect(self._search)
        self.search.setMaximumWidth(196)
        self.search.setMinimumWidth(90)
        self.import_button = button(
            "Import…",
            "models.import",
            self._ask_import,
            icon="folder-input",
            tip="Take in a GGUF file; it can be dropped here too",
        )
        self.add_button = button(
            "Add…", "models.addProvider", self.add_provider, icon="plus", tip="Add a provider"
        )
        self.find_button = button(
            "Find", "models.find", self._services.providers.find, icon="search",
            tip="Look for Ollama, vLLM, LM Studio and llama-server on this computer",
        )  # fmt: skip
        self.check_button = button(
            "Check again", "models.check", self._examine, icon="stethoscope", tip="Look at everything again"
        )
        self._title = label("Models", "heading")
        self._head.add(
            self._title,
            8,
            self.tabs,
            None,
            self.search,
            self.import_button,
            self.find_button,
            self.add_button,
            self.check_button,
            opener("models"),
        )
        layout.addWidget(self._head)
        self.stack = QStackedWidget()
        layout.addWidget(self.stack, 1)
        self.stack.addWidget(self._make_installed())
        self.stack.addWidget(self._make_discover())
        self.stack.addWidget(self._make_providers())
        self.stack.addWidget(self._make_list("engines", "Engine and health", CHECKS, "What was looked at"))
        self.providers: Lines = self._lists["providers"]
        self.engines: Lines = self._lists["engines"]
        self.providers.chosen.connect(taking(str, lambda name: self.provider_panel.show_details(name)))
        self.providers.deleted.connect(self._ask_remove_provider)
        self.downloads = Downloads(self._services.models)
        layout.addWidget(self.downloads)
        return main

    def _make_installed(self) -> QWidget:
        page = QWidget()
        layout = column(page)
        bar = row(margins=(14, 8, 16, 8), spacing=6)
        self.filters = FilterPills(
            "models.filter", "Which models", (("all", "All"), ("fits", "Fits this computer"), ("loaded", "Loaded")),
            lambda key: self._services.models.show(filter_key=key),
        )  # fmt: skip
        self.hardware = ElidedLabel("", "small", "tertiary", "models.hardware")
        fill(bar, self.filters, None, self.hardware)
        self.installed = Lines("models.installed", "Models on this computer", INSTALLED)
        self.installed.chosen.connect(self._services.models.select)
        self.installed.opened.connect(self._chat_with)
        self.installed.deleted.connect(self._ask_remove)
        self.installed_head = self.installed.head("Name")
        self.installed_empty = _empty("No model matches.")
        fill(layout, bar, line(), self.installed_head)
        layout.addWidget(self.installed, 1)
        layout.addWidget(self.installed_empty, 1)
        self.installed_empty.hide()
        return page

    def _make_discover(self) -> QWidget:
        page = QWidget()
        layout = column(page)
        bar = row(margins=(16, 6, 16, 6), spacing=6)
        self.address = QLineEdit()
        self.address.setObjectName("models.address")
        self.address.setAccessibleName("Address of a GGUF file")
        self.address.setToolTip("Address of a GGUF file")
        self.address.setPlaceholderText("Or paste the address of a GGUF file, https://…")
        self.address.returnPressed.connect(self._pull_address)
        fill(bar, self.address, button("Download", "models.pullAddress", self._pull_address, icon="download"))
        self.offers = Lines("models.offers", "Models that can be downloaded", OFFERS)
        self.offers.chosen.connect(taking(str, lambda key: self.offer_panel.show_offer(key)))
        self.offers.opened.connect(taking(str, self._services.models.pull))
        fill(layout, bar, line(), self.offers.head("Name"))
        layout.addWidget(self.offers, 1)
        return page

    def _make_providers(self) -> QWidget:
        page = QWidget()
        layout = column(page)
        self.found = FoundServers(self._services.providers, self._ask_found_key)
        layout.addWidget(self.found)
        layout.addWidget(self._make_list("providers", "Providers", PROVIDERS, "Name"), 1)
        return page

    def _make_list(self, key: str, title: str, columns: tuple[Column, ...], first: str) -> QWidget:
        page = QWidget()
        layout = column(page)
        if not hasattr(self, "_lists"):
            self._lists: dict[str, Lines] = {}
        made = self._lists[key] = Lines(f"models.{key}", title, columns)
        layout.addWidget(made.head(first))
        layout.addWidget(made, 1)
        return page

    # What is shown

    def _visit(self) -> None:
        self._services.models.visit()
        self._services.providers.visit()

    def _show_tab(self, key: str) -> None:
        order = [name for name, _ in TABS]
        self.stack.setCurrentIndex(order.index(key))
        self.import_button.setVisible(key == "installed")
        self._fit_head()
        self._say_search()
        self.add_button.setVisible(key == "providers")
        self.find_button.setVisible(key == "providers")
        self.check_button.setVisible(key == "engines")
        panels = {
            "installed": self.model_panel,
            "discover": self.offer_panel,
            "providers": self.provider_panel,
        }
        if key in panels:
            self.inspectors.setCurrentWidget(panels[key])
        if key == "engines":
            self._examine()
        if key == "providers" and not self._services.providers.has_looked:
            self._services.providers.find()
        if self.inspector is not None:
            self.offer_inspector(key != "engines")

    def _show_models(self) -> None:
        models = self._services.models
        self.installed.set_caption(4, f"Fit at {wording.short_count(_context(models.rows))}")
        self.installed_head.update()
        self.installed.lines.show_rows([self._line(row_) for row_ in models.rows])
        self.installed.select(models.selected)
        self.filters.show_counts(models.counts())
        self.hardware.set_words(hardware_words(models.hardware))
        is_empty = models.is_loaded and not models.rows
        self.installed.setVisible(not is_empty)
        self.installed_empty.setVisible(is_empty)
        self._say_search()
        wanted = models.query.lower()
        self.offers.lines.show_rows(
            [
                self._offer(offer)
                for offer in models.catalogue
                if wanted in f"{offer.name} {offer.title}".lower()
            ]
        )
        self.offer_panel.refresh()
        if not self.offers.current_key and self.offers.lines.rows:
            self.offers.select(self.offers.lines.rows[0].key)

    def _say_search(self) -> None:
        """How many the search goes over: those of the tab that is open."""
        models = self._services.models
        found = models.catalogue if self.tabs.current == "discover" else models.all_rows
        self.search.setPlaceholderText(f"Search {wording.plural(len(found), 'model')}")

    def _line(self, model: Any) -> Line:
        detail = model.problem or ", ".join(
            part
            for part in (
                "Starter, always available" if model.is_starter else "",
                model.architecture,
                wording.licence(model.licence),
            )
            if part
        )
        fit = FIT_WORDS[model.fit.label] if model.fit else None
        badge = Pill("Loaded", "ok") if model.is_loaded else None
        if model.name in self._services.models.busy:
            badge = Pill("Working", "accent")
        return Line(
            key=model.name, title=model.name, detail=detail, tier="local", badge=badge, is_dim=bool(model.problem),
            cells=(
                Cell(wording.parameters(model.parameters), colour="text.secondary"),
                Cell(model.quantisation, style="codeSmall", colour="text.secondary"),
                Cell(wording.size(model.size_bytes)),
                Cell(wording.short_count(model.context_max) if model.context_max else wording.DASH, colour="text.secondary"),
                Cell(pill=Pill(fit[0], fit[1], fit[2])) if fit else Cell(wording.DASH, colour="text.tertiary"),  # type: ignore[arg-type]
                Cell(f"{model.tokens_per_s:.0f}" if model.tokens_per_s else wording.DASH, colour="text.primary" if model.tokens_per_s else "text.tertiary"),
            ),
        )  # fmt: skip

    def _offer(self, offer: Any) -> Line:
        models = self._services.models
        label_key = estimate(offer, models.hardware)
        fit = FIT_WORDS.get(label_key)
        is_here = any(row_.name == offer.name for row_ in models.all_rows)
        return Line(
            key=offer.name, title=offer.title, detail=offer.about, icon="download",
            badge=Pill("Installed", "ok") if is_here else None,
            cells=(
                Cell(wording.parameters(offer.parameters_about), colour="text.secondary"),
                Cell(offer.quantisation, style="codeSmall", colour="text.secondary"),
                Cell(f"{wording.size(offer.size_bytes_about)}"),
                Cell(wording.short_count(offer.context_max), colour="text.secondary"),
                Cell(pill=Pill(fit[0], fit[1], fit[2])) if fit else Cell(wording.DASH),  # type: ignore[arg-type]
            ),
        )  # fmt: skip

    def _show_providers(self) -> None:
        lines: list[Line] = []
        for found in self._services.providers.rows:
            words, tone, icon = circuit_pill(found)
            kind = self._services.providers.kind_title(found).partition(",")[0]
            lines.append(
                Line(
                    key=found.name, title=found.name, tier=found.tier, detail=found.problem or f"{kind}, {found.tier}",
                    is_dim=bool(found.problem),
                    cells=(
                        Cell(found.base_url or "this computer", colour="text.secondary"),
                        Cell(str(len(found.models))),
                        Cell(pill=Pill(words, tone, icon)),  # type: ignore[arg-type]
                    ),
                )
            )  # fmt: skip
        self.providers.lines.show_rows(lines)
        # The one that is shown, such as the one just added, is the chosen one.
        shown = self.provider_panel.name
        if any(line.key == shown for line in lines):
            self.providers.select(shown)
        elif not self.providers.current_key and lines:
            self.providers.select(lines[0].key)

    def _examine(self) -> None:
        def done(processes: Any, checks: Any) -> None:
            self._checks = checks
            self.engines.lines.show_rows(
                [
                    *(_process_line(process) for process in processes),
                ]
                + [
                    Line(
                        key=check.name, title=check.name.replace("_", " ").capitalize(),
                        detail=f"{check.found}. {check.todo}" if check.todo else check.found,
                        cells=(Cell(pill=Pill(*CHECK_PILLS[check.state])),),  # type: ignore[arg-type]
                    )
                    for check in checks
                ]
            )  # fmt: skip

        self._services.models.examine(done)

    def _search(self, words: str) -> None:
        self._services.models.show(query=words)

    # What a person does

    def run(self, verb: str) -> None:
        """Do what a command of this page says: import, discover, providers, engines, unload."""
        match verb:
            case "import":
                self.tabs.choose("installed")
                self._ask_import()
            case "unload":
                self._services.models.unload_all()
            case _:
                self.tabs.choose(verb)
                self.take_focus()

    def choose(self, name: str) -> None:
        """Stand on a model."""
        self.tabs.choose("installed")
        self._services.models.select(name)
        self.installed.select(name)
        self.installed.setFocus(Qt.FocusReason.OtherFocusReason)

    def find_here(self) -> None:
        """Search in this page."""
        self.search.show()
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The list of the tab has the focus."""
        targets: dict[str, QWidget] = {
            "installed": self.installed, "discover": self.offers, "providers": self.providers, "engines": self.engines,
        }  # fmt: skip
        focus_quietly(targets[self.tabs.current], reason)

    def _chat_with(self, name: str) -> None:

        self._go("chat")
        chat: ChatViewModel = self._services.chat
        chat.start_new()
        chat.pin_model(name)
        page = self.window()
        take = getattr(getattr(page, "chat_page", None), "take_focus", None)
        if callable(take):
            take()

    def _ask_import(self) -> None:
        dialog = QFileDialog(self, "Import a model file")
        dialog.setObjectName("models.importDialog")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters(["Models (*.gguf)", "All files (*)"])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self._import)
        dialog.open()

    def _import(self, paths: list[str]) -> None:
        self._services.models.import_files([Path(path) for path in paths])

    def _ask_remove(self, name: str) -> None:
        model = next((row_ for row_ in self._services.models.all_rows if row_.name == name), None)
        if model is None:
            return
        if model.is_starter:
            self._services.bridge.refused.emit(
                "The starter stays, so that there is always a model that answers."
            )
        elif ask_remove_model(self, name, wording.size(model.size_bytes)):
            self._services.models.remove(name)

    def _ask_remove_provider(self, name: str) -> None:
        found = next((row_ for row_ in self._services.providers.rows if row_.name == name), None)
        if found is not None and not found.is_builtin and ask_remove_provider(self, name):
            self._services.providers.remove(name)

    def choose_provider(self, name: str) -> None:
        """Stand on a provider."""
        self.tabs.choose("providers")
        self.providers.select(name)
        self.provider_panel.show_details(name)
        self.show_inspector()
        self.providers.setFocus(Qt.FocusReason.OtherFocusReason)

    def _ask_found_key(self, base_url: str) -> None:
        self.add_provider()
        self._services.providers.begin_found(base_url)
        self.provider_panel.form.show_words()
        self.provider_panel.form.key.setFocus(Qt.FocusReason.OtherFocusReason)

    def add_provider(self, tier: str = "") -> None:
        """An empty form, for a rung of the ladder if one is named."""
        self.show_inspector()
        self.provider_panel.show_form(tier)

    def _pull_address(self) -> None:
        words = self.address.text().strip()
        if words:
            self._services.models.pull(words)
            self.address.clear()

    def _ask_private(self, source: str, host: str) -> None:
        if ask_private_download(self, host):
            self._services.models.pull(source, allow_private=True)

    def _close(self) -> None:
        self.show_inspector(False)

    def _fit_head(self) -> None:
        # Where there is no room for the field, the tabs come first; Ctrl F brings it.
        has_room = (
            self.width() >= look().px(SEARCH_FROM) or self.search.hasFocus() or bool(self.search.text())
        )
        self.search.setVisible(self.tabs.current in ("installed", "discover") and has_room)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_head()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self._services.models.import_files(
            [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        )
        event.acceptProposedAction()

    def keyPressEvent(self, event: Any) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.key() in (
            Qt.Key.Key_PageUp,
            Qt.Key.Key_PageDown,
        ):
            self.tabs.step(1 if event.key() == Qt.Key.Key_PageDown else -1)
            return
        super().keyPressEvent(event)


def _process_line(process: Any) -> Line:
    return Line(
        key=f"process.{process.model}", title=process.model, tier="local", detail=process_words(process),
        cells=(Cell(pill=Pill(*PROCESS_PILLS[process.state])),),  # type: ignore[arg-type]
    )  # fmt: skip


def _context(rows: tuple[Any, ...]) -> int:
    return next((row_.fit.context for row_ in rows if row_.fit is not None), 4096)


def _empty(words: str) -> QFrame:
    made = frame("page")
    inner = label(words, "", "tertiary")
    inner.setAlignment(Qt.AlignmentFlag.AlignCenter)
    fill(column(made), inner)
    return made
