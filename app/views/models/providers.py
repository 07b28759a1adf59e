"""The inspector of the Providers tab: an instance with its test, or the form that adds one."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from app.theme.apply import repolish
from app.viewmodels import wording
from app.viewmodels.providers import ProvidersViewModel, able_words, circuit_pill
from app.views.about import ask_save_untested
from app.views.painted import KeyValues, PillRow
from app.views.parts import (
    ElidedLabel,
    Head,
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
from app.views.scrolled import Scrolled
from app.widgets.flow import FlowLayout


class ProviderForm(QWidget):
    """Kind, name, address, key. Save becomes possible by a test of exactly these words."""

    def __init__(self, providers: ProvidersViewModel, close: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("provider.form")
        self.setAccessibleName("Add a provider")
        self._providers = providers
        self._touched: set[str] = set()
        layout = column(self, (12, 12, 12, 12), 4)
        self.kind = QComboBox()
        self.kind.setObjectName("provider.kind")
        self.kind.setAccessibleName("Kind")
        self.kind.setToolTip("Which protocol it speaks")
        # Its longest title must not make the whole panel wider than there is room.
        self.kind.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.kind.setMinimumContentsLength(8)
        self.kind.currentIndexChanged.connect(self._kind_chosen)
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
        fill(layout, buttons, self.result, self.untested, None)
        for field in (self.name, self.base_url, self.key):
            field.returnPressed.connect(self._enter)
        providers.form_changed.connect(self.refresh)
        providers.changed.connect(self._fill_kinds)
        self._fill_kinds()

    def begin(self) -> None:
        """An empty form, with the focus in it."""
        self._touched.clear()
        self._providers.begin_form(str(self.kind.currentData() or ""))
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
        self.test.setEnabled(form.can_test)
        self.test.setText("Testing" if form.is_testing else "Test")
        self.save.setEnabled(form.can_save)
        self.save.setToolTip("Save what was tested" if form.can_save else "Test it first")
        self.result.setText(form.result)
        self.result.setVisible(bool(form.result))
        self.result.setProperty("tone", "ok" if form.is_ok else "error")
        repolish(self.result)
        self.untested.setVisible(bool(form.result) and not form.is_ok and not form.errors)

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
        self._providers.begin_form(str(self.kind.currentData() or ""))
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
        kept = "The key goes to the keyring, never into a file that can be read."
        self.key_note.setText(f"{key_hint} {kept}" if key_hint else kept)
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
    """One instance: state, address, models, and what can be done with it."""

    def __init__(self, providers: ProvidersViewModel, remove: Callable[[str], None]) -> None:
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
        buttons = QWidget()
        flow = FlowLayout(buttons)
        for made in (self.test, self.rest, self.drain, self.reset):
            flow.addWidget(made)
        top = column(margins=(12, 12, 12, 12), spacing=10)
        fill(top, self.pills, self.words, self.problem, buttons, self.result)
        self.facts = KeyValues("provider.facts")
        self.models = KeyValues("provider.models")
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
        facts = [("Kind", found.kind), ("Tier", found.tier)]
        if found.base_url:
            facts.append(("Address", found.base_url))
        if not found.is_builtin:
            facts.append(("Key", "kept" if found.has_key else "none"))
        facts.append(("Failures lately", str(found.failures)))
        self.facts.show_pairs(tuple(facts))
        self._models_caption.setText(
            wording.plural(len(found.models), "model").capitalize() if found.models else "No models known"
        )
        self.models.show_pairs(
            tuple((wording.model(offer.id), able_words(offer)) for offer in found.models[:40])
        )


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
        self.details = ProviderDetails(providers, remove)
        self.form = ProviderForm(providers, self.show_details)
        body = frame("scrolled")
        fill(column(body), self.stack)
        outer.addWidget(Scrolled(body, "provider.scroll", "Details of the provider", is_focusable=True), 1)
        self.stack.addWidget(self.details)
        self.stack.addWidget(self.form)
        self._name = ""
        providers.changed.connect(self.refresh)
        providers.saved.connect(self._saved)

    @property
    def name(self) -> str:
        """The instance that is shown, or was before the form."""
        return self._name

    @property
    def is_form(self) -> bool:
        """Whether the form is shown."""
        return self.stack.currentWidget() is self.form

    def show_form(self) -> None:
        """Show an empty form."""
        self.stack.setCurrentWidget(self.form)
        self.title.set_words("Add a provider")
        self.form.begin()

    def show_details(self, name: str = "") -> None:
        """Show an instance."""
        self._name = name or self._name or (self._providers.rows[0].name if self._providers.rows else "")
        self.stack.setCurrentWidget(self.details)
        self.refresh()

    def refresh(self) -> None:
        """Show the instance as it is now."""
        if not self.is_form:
            self.title.set_words(self._name or "No provider chosen")
            self.details.show_instance(self._name)

    def _saved(self, name: str) -> None:
        self._name = name
        self.show_details(name)


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
