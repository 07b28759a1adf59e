# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The inspector of the Providers tab: an instance with its test, or the form that adds one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QLabel,
    QLineEdit,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.theme.apply import look, repolish
from app.viewmodels import wording
from app.viewmodels.providers import ProvidersViewModel, able_words, circuit_pill
from app.views.about import ask_save_untested
from app.views.painted import KeyValues, PillRow
from app.views.parts import (
    ElidedLabel,
    Head,
    bind,
    button,
    column,
    fill,
    frame,
    icon_button,
    label,
    line,
    row,
    taking,
)
from app.views.rows import Line, Lines, Pill
from app.views.scrolled import Scrolled
from app.widgets.choice import Choice
from app.widgets.flow import FlowLayout

if TYPE_CHECKING:
    from app.views.models.facts import ModelFactsForm

MODEL_ROW, MODELS_SHOWN = 44, 400
TIERS = (
    ("", "As its address tells"),
    ("local", "Local: this computer"),
    ("direct", "Direct: a machine you name"),
    ("fleet", "Fleet: a machine that is shared"),
    ("cloud", "Cloud: a paid service"),
    ("frontier", "Frontier: the strongest models"),
)
STORES = {
    "none": "No keyring answers on this computer. Choose a passphrase: keys are kept in a file encrypted with it, and it is asked for after each start.",
    "locked": "Keys are kept in an encrypted file, which is locked. Enter its passphrase.",
}


class ProviderForm(QWidget):
    """Kind, name, address, key. Save becomes possible by a test of exactly these words."""

    def __init__(self, providers: ProvidersViewModel, close: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("provider.form")
        self.setAccessibleName("Add a provider")
        self._providers = providers
        self._touched: set[str] = set()
        layout = column(self, (12, 12, 12, 12), 4)
        self.kind = Choice("provider.kind", "Kind", "Which protocol it speaks")
        self.tier = Choice(
            "provider.tier",
            "Tier",
            "On which rung of the ladder it stands: the lowest that is able is asked first",
        )
        for word, title in TIERS:
            self.tier.addItem(title, word)
        self.kind.currentIndexChanged.connect(self._kind_chosen)
        self.tier.currentIndexChanged.connect(bind(self._tier_chosen))
        self.name = self._field("name", "Name", "box-a")
        self.base_url = self._field("base_url", "Address", "http://127.0.0.1:9001/v1")
        self.key = self._field("key", "Key", "")
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.errors: dict[str, QLabel] = {}
        self._add(layout, "Kind", self.kind)
        for name, title, field in (
            ("name", "Name", self.name),
            ("base_url", "Address", self.base_url),
            ("key", "Key", self.key),
        ):
            self._add(layout, title, field)
            error = self.errors[name] = label("", "small", "error", wraps=True, name=f"provider.{name}.error")
            layout.addWidget(error)
        self.key_note = label("", "small", "tertiary", wraps=True, name="provider.keyNote")
        layout.addWidget(self.key_note)
        self.passphrase = passphrase_field("provider.passphrase")
        self.passphrase.textEdited.connect(taking(str, providers.edit_passphrase))
        layout.addWidget(self.passphrase)
        self._add(layout, "Tier", self.tier)
        self.result = label("", "small", wraps=True, name="provider.result")
        layout.addSpacing(8)
        self.test = button(
            "Test",
            "provider.test",
            self._test,
            icon="stethoscope",
            tip="Ask whether it is there and the key is right",
        )
        self.save = button(
            "Save", "provider.save", lambda: providers.save_form(), kind="primary", tip="Save what was tested"
        )
        self.untested = button(
            "Save untested…", "provider.saveUntested", self._save_untested, kind="ghost", small=True
        )
        buttons = row(spacing=6)
        fill(buttons, self.test, self.save, None, button("Cancel", "provider.cancel", close, kind="ghost"))
        untested = row()
        fill(untested, self.untested, None)
        fill(layout, buttons, self.result, untested, None)
        for field in (self.name, self.base_url, self.key, self.passphrase):
            field.returnPressed.connect(self._enter)
        providers.form_changed.connect(self.refresh)
        providers.changed.connect(self._fill_kinds)
        self._fill_kinds()

    def begin(self, tier: str = "") -> None:
        """An empty form, with the focus in it; for a tier it begins with a family that belongs there."""
        self._touched.clear()
        self._providers.begin_form(str(self.kind.currentData() or ""), tier)
        self.show_words()
        self.kind.setFocus(Qt.FocusReason.OtherFocusReason)

    def refresh(self) -> None:
        """What the form says now."""
        form = self._providers.form
        fields = {"name": self.name, "base_url": self.base_url, "key": self.key}
        for name, field in fields.items():
            words = form.errors.get(name, "") if name in self._touched else ""
            self.errors[name].setText(words)
            self.errors[name].setVisible(bool(words))
            if bool(field.property("error")) != bool(words):
                field.setProperty("error", bool(words))
                repolish(field)
        # It stays enabled while it asks: a button that is shut gives its focus on, here to Cancel.
        self.test.setEnabled(form.can_test or form.is_testing)
        self.test.setText("Testing" if form.is_testing else "Test")
        self.save.setEnabled(form.can_save)
        why_not = "Enter the passphrase first" if form.is_ok and form.store else "Test it first"
        self.save.setToolTip("Save what was tested" if form.can_save else why_not)
        self._say_where_keys_go()
        self.result.setText(form.result)
        self.result.setVisible(bool(form.result))
        self.result.setProperty("tone", "ok" if form.is_ok else "error")
        repolish(self.result)
        self.untested.setVisible(
            bool(form.result) and not form.is_ok and not form.can_save and not form.errors
        )
        if form.can_save and self.test.hasFocus():
            self.save.setFocus(Qt.FocusReason.TabFocusReason)

    def _say_where_keys_go(self) -> None:
        kind, store = self._providers.kind_row(self._providers.kind), self._providers.form.store
        kept = STORES.get(store) or (
            "The key goes into an encrypted file."
            if self._providers.store == "file"
            else "The key goes to the keyring, never into a file that can be read."
        )
        self.key_note.setText(f"{kind.key_hint} {kept}" if kind is not None and kind.key_hint else kept)
        self.passphrase.setVisible(bool(store))

    def _tier_chosen(self) -> None:
        self._providers.tier = str(self.tier.currentData() or "")

    def _field(self, key: str, title: str, placeholder: str) -> QLineEdit:
        made = QLineEdit()
        made.setObjectName(f"provider.{key}")
        made.setAccessibleName(title)
        made.setPlaceholderText(placeholder)
        made.setToolTip(title)
        made.textEdited.connect(taking(str, lambda words: self._edited(key, words)))
        return made

    def _add(self, layout: QVBoxLayout, title: str, field: QWidget) -> None:
        caption = label(title, "small", "secondary")
        caption.setBuddy(field)
        fill(layout, 4, caption, field)

    def _fill_kinds(self) -> None:
        kinds = [(row.kind, row.title) for row in self._providers.kinds]
        shown = [(str(self.kind.itemData(at)), self.kind.itemText(at)) for at in range(self.kind.count())]
        if kinds != shown:
            self.kind.blockSignals(True)
            self.kind.clear()
            for kind, title in kinds:
                self.kind.addItem(title, kind)
            self.kind.blockSignals(False)
            self.show_words()
        self.refresh()

    def _kind_chosen(self, _: int) -> None:
        self._touched.clear()
        tier = self._providers.tier
        self._providers.begin_form(str(self.kind.currentData() or ""))
        self._providers.tier = tier  # it is the same rung, whoever stands there
        self.show_words()

    def show_words(self) -> None:
        """The fields as the view-model has them; the kind too."""
        at = self.kind.findData(self._providers.kind)
        if at >= 0 and at != self.kind.currentIndex():
            self.kind.blockSignals(True)
            self.kind.setCurrentIndex(at)
            self.kind.blockSignals(False)
        providers = self._providers
        self.name.setText(providers.name)
        self.base_url.setText(providers.base_url)
        self.key.clear()
        kind = providers.kind_row(providers.kind)
        hint = kind.address_hint if kind is not None else ""
        self.base_url.setPlaceholderText(hint or "http://127.0.0.1:9001/v1")
        self.base_url.setToolTip(f"Address: {hint}" if hint else "Address")
        key_hint = kind.key_hint if kind is not None else ""
        needs_key = kind is not None and kind.needs_key
        self.key.setPlaceholderText(
            "Paste the key" if needs_key else "May be empty" if key_hint else "None needed as a rule"
        )
        self.passphrase.clear()
        self.tier.setCurrentIndex(max(0, self.tier.findData(providers.tier)))
        self.refresh()

    def _edited(self, key: str, words: str) -> None:
        self._touched.add(key)
        match key:
            case "name":
                self._providers.edit_form(name=words)
            case "base_url":
                self._providers.edit_form(base_url=words)
            case _:
                self._providers.edit_form(key=words)

    def _test(self) -> None:
        self._touched.update(("name", "base_url", "key"))
        self.refresh()
        self._providers.test_form()

    def _enter(self) -> None:
        if self._providers.form.can_save:
            self._providers.save_form()
        else:
            self._test()

    def _save_untested(self) -> None:
        if ask_save_untested(self, self._providers.name):
            self._providers.save_form(untested=True)


class ProviderDetails(QWidget):
    """One instance: state, address, models, and what can be done with it. `open_model` shows what one of them can."""

    def __init__(
        self,
        providers: ProvidersViewModel,
        remove: Callable[[str], None],
        open_model: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.setObjectName("provider.details")
        self._providers = providers
        self.name = ""
        layout = column(self)
        self.pills = PillRow("provider.pills")
        self.words = label("", "small", "secondary", wraps=True)
        self.problem = label("", "small", "error", wraps=True)
        self.test = button("Test", "provider.testIt", lambda: providers.test(self.name), icon="stethoscope")
        self.rest = button(
            "Trip",
            "provider.trip",
            lambda: providers.trip(self.name),
            icon="circle-x",
            tip="Ask nothing of it until it is reset",
        )
        self.reset = button(
            "Reset",
            "provider.reset",
            lambda: providers.reset(self.name),
            icon="rotate-ccw",
            tip="Forget its failures",
        )
        self.drain = button(
            "Drain",
            "provider.drain",
            lambda: providers.drain(self.name),
            icon="circle-pause",
            tip="Let it finish what runs and take nothing new",
        )
        self.remove = button("Remove…", "provider.remove", lambda: remove(self.name), kind="ghostDanger")
        self.result = label("", "small", wraps=True, name="provider.testResult")
        self.passphrase = passphrase_field("provider.unlockPassphrase")
        self.passphrase.returnPressed.connect(self._unlock)
        self.unlock = QWidget()
        unlock = button("Unlock", "provider.unlock", self._unlock, tip="Open the encrypted file of keys")
        fill(row(self.unlock, spacing=6), self.passphrase, unlock)
        buttons = QWidget()
        flow = FlowLayout(buttons)
        for made in (self.test, self.rest, self.drain, self.reset):
            flow.addWidget(made)
        top = column(margins=(12, 12, 12, 12), spacing=10)
        fill(top, self.pills, self.words, self.problem, self.unlock, buttons, self.result)
        self.facts = KeyValues("provider.facts")
        self.models = Lines("provider.models", "Models of the provider", height=MODEL_ROW, padding=12)
        self.models.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.models.setToolTip("Enter shows what a model can")
        self.models.clicked.connect(bind(self._open_current, open_model))
        self.models.opened.connect(taking(str, open_model))
        look().theme_changed.connect(self._fit_models)
        self._models_caption = label("Models", "caption", "tertiary")
        self._models_caption.setContentsMargins(12, 12, 12, 4)
        bottom = row(margins=(6, 8, 12, 12))
        fill(bottom, self.remove, None)
        fill(layout, top, line(), self.facts, line(), self._models_caption, self.models, line(), bottom, None)

    def show_instance(self, name: str) -> None:
        """Show this one."""
        self.name = name
        found = next((row_ for row_ in self._providers.rows if row_.name == name), None)
        self.setVisible(found is not None)
        if found is None:
            return
        words, tone, icon = circuit_pill(found)
        self.pills.show_pills(
            (words, tone, icon), *([("This computer", "neutral", "lock")] if found.is_builtin else [])
        )
        self.words.setText(_sentence(found.tier, found.is_builtin))
        self.problem.setText(found.problem)
        self.problem.setVisible(bool(found.problem))
        self.unlock.setVisible(bool(found.problem) and found.has_key and self._providers.is_locked)
        is_resting = found.circuit != "closed" or found.is_draining
        self.rest.setVisible(not is_resting)
        self.drain.setVisible(not is_resting)
        self.reset.setVisible(is_resting)
        is_testing = name in self._providers.testing
        # It stays enabled: a button that is shut gives its focus on, here to the one that trips.
        self.test.setText("Testing" if is_testing else "Test")
        result = self._providers.results.get(name)
        self.result.setText(result.why if result else "")
        self.result.setVisible(result is not None)
        self.result.setProperty("tone", "ok" if result and result.is_ok else "error")
        repolish(self.result)
        self.remove.setVisible(not found.is_builtin)
        facts = [("Kind", self._providers.kind_title(found)), ("Tier", found.tier)]
        if found.base_url:
            facts.append(("Address", found.base_url))
        if not found.is_builtin:
            facts.append(("Key", "kept" if found.has_key else "none"))
        facts.append(("Failures lately", str(found.failures)))
        self.facts.show_pairs(tuple(facts))
        self._models_caption.setText(
            wording.plural(len(found.models), "model").capitalize() if found.models else "No models known"
        )
        self.models.setEnabled(not found.is_builtin)
        self.models.lines.show_rows([_model_line(offer, found) for offer in found.models[:MODELS_SHOWN]])
        self._fit_models()

    def _unlock(self) -> None:
        if words := self.passphrase.text():
            self.passphrase.clear()
            self._providers.unlock(words)

    def _open_current(self, open_model: Callable[[str], None]) -> None:
        if self.models.current_key:
            open_model(self.models.current_key)

    def _fit_models(self) -> None:
        # As tall as its rows: the panel scrolls, not a list inside it.
        self.models.setFixedHeight(len(self.models.lines.rows) * look().px(MODEL_ROW))


class ProviderPanel(QWidget):
    """Details or form, with one head."""

    def __init__(
        self, providers: ProvidersViewModel, remove: Callable[[str], None], close: Callable[[], None]
    ) -> None:
        super().__init__()
        self.setObjectName("provider.panel")
        self._providers = providers
        outer = column(self)
        self._head = Head(left=12, right=8, spacing=4)
        self.title = ElidedLabel("", "section")
        self._head.add(
            self.title,
            None,
            icon_button(
                "x", "provider.closeInspector", "Close the inspector", close, small=True, keys="Ctrl I"
            ),
        )
        outer.addWidget(self._head)
        self.stack = QStackedWidget()
        self.details = ProviderDetails(providers, remove, self.show_model)
        self.form = ProviderForm(providers, self.show_details)
        self.facts: ModelFactsForm | None = None
        body = frame("scrolled")
        fill(column(body), self.stack)
        self._scroll = Scrolled(body, "provider.scroll", "Details of the provider", is_focusable=True)
        outer.addWidget(self._scroll, 1)
        self.stack.addWidget(self.details)
        self.stack.addWidget(self.form)
        self.details.models.chosen.connect(bind(self._follow_model))
        self._name = ""
        providers.changed.connect(self.refresh)
        providers.saved.connect(self._saved)

    @property
    def name(self) -> str:
        """The instance that is shown, or was before the form."""
        return self._name

    @property
    def is_form(self) -> bool:
        """Whether a form is shown, and not the details."""
        return self.stack.currentWidget() is not self.details

    def show_form(self, tier: str = "") -> None:
        """Show an empty form, for a tier if one is named."""
        self._turn_to(self.form)
        self.title.set_words("Add a provider")
        self.form.begin(tier)

    def show_details(self, name: str = "") -> None:
        """Show an instance."""
        self._name = name or self._name or (self._providers.rows[0].name if self._providers.rows else "")
        self._turn_to(self.details)
        self.refresh()

    def show_model(self, model: str) -> None:
        """Show what a model of the instance can, to be set."""
        found = next((row_ for row_ in self._providers.rows if row_.name == self._name), None)
        if found is None or found.is_builtin:
            return
        if self.facts is None:
            from app.views.models.facts import ModelFactsForm

            self.facts = ModelFactsForm(self._providers.facts, self._leave_model)
            self.stack.addWidget(self.facts)
        if self._providers.facts.begin(found, model):
            self._turn_to(self.facts)
            self.title.set_words(wording.model(model))
            self.facts.take_focus()

    def _leave_model(self) -> None:
        self.show_details()
        self.details.models.setFocus(Qt.FocusReason.OtherFocusReason)

    def _turn_to(self, shown: QWidget) -> None:
        """A page that is not shown takes no room: a hundred models make no form tall."""
        for page in (self.details, self.form, self.facts):
            if page is not None:
                vertical = QSizePolicy.Policy.Preferred if page is shown else QSizePolicy.Policy.Ignored
                page.setSizePolicy(QSizePolicy.Policy.Preferred, vertical)
        self.stack.setCurrentWidget(shown)

    def _follow_model(self) -> None:
        models = self.details.models
        place = models.mapTo(self, models.visualRect(models.currentIndex()).center())
        above = place.y() - self._scroll.y() + self._scroll.verticalScrollBar().value()
        self._scroll.ensureVisible(0, above, 0, look().px(MODEL_ROW))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.is_form:
            self._leave_model() if self.stack.currentWidget() is self.facts else self.show_details()
            return
        super().keyPressEvent(event)

    def refresh(self) -> None:
        """Show the instance as it is now."""
        if not self.is_form:
            self.title.set_words(self._name or "No provider chosen")
            self.details.show_instance(self._name)

    def _saved(self, name: str) -> None:
        self._name = name
        self.show_details(name)


def passphrase_field(name: str) -> QLineEdit:
    """What the encrypted file of keys is opened with; it can be read only while it is typed."""
    made = QLineEdit()
    made.setObjectName(name)
    made.setAccessibleName("Passphrase")
    made.setToolTip("Passphrase of the encrypted file of keys")
    made.setPlaceholderText("Passphrase")
    made.setEchoMode(QLineEdit.EchoMode.PasswordEchoOnEdit)
    return made


def _model_line(offer: Any, found: Any) -> Line:
    badge = Pill("Set by you", "accent") if offer.id in found.described else None
    return Line(key=offer.id, title=wording.model(offer.id), detail=able_words(offer), badge=badge)


def _sentence(tier: str, is_builtin: bool) -> str:
    if is_builtin:
        return "Models of this computer. Nothing leaves it."
    return {
        "local": "On this computer, outside the workbench.",
        "direct": "A machine you named.",
        "fleet": "A machine that is shared.",
        "cloud": "A cloud service. What is asked leaves this computer.",
        "frontier": "A frontier service. What is asked leaves this computer.",
    }.get(tier, "")
