# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The set-up in four screens over the window: welcome, this computer, privacy, try it. Escape leaves at any point."""

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)

from app.theme.apply import look
from app.viewmodels import wording
from app.viewmodels.models import estimate
from app.views.appearance import SCALES
from app.views.parts import bind, button, column, fill, frame, label, row, taking
from app.views.services import Services
from app.views.shell import Shell
from app.views.store import WIZARD_DONE
from app.views.wizard_parts import STEPS, Findings, Option, Steps
from app.widgets.segmented import Segmented
from app.widgets.switch import Switch

BODY, FOOT = 640, 60
COMMAND_KEYS = (
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
)
PRIVACY_KEY = "privacy.local_only"
MOTION_KEY = "appearance.reduced_motion"


class Wizard(QWidget):
    """Covers the window. Every change in it is in force at once; leaving keeps what was chosen."""

    def __init__(self, services: Services, window: Shell) -> None:
        super().__init__(window)
        self.setObjectName("wizard")
        self.setAccessibleName("Set-up")
        self._services = services
        self._window = window
        self._at = 0
        self._choice = "starter"
        self._recommended = ""
        outer = row(self)
        self.steps = Steps()
        outer.addWidget(self.steps)
        right = frame("page")
        outer.addWidget(right, 1)
        layout = column(right)
        self.stack = QStackedWidget()
        layout.addWidget(self.stack, 1)
        for make in (self._welcome, self._computer, self._privacy, self._try):
            self.stack.addWidget(make())
        rule = frame("lineNormal")
        rule.setFixedHeight(1)
        layout.addWidget(rule)
        foot = row(margins=(24, 0, 24, 0), spacing=8)
        self.skip = button("Skip set-up", "wizard.skip", self.leave, kind="ghost", tip="Skip set-up  Esc")
        self.back = button("Back", "wizard.back", lambda: self.step(-1))
        self.next = button(
            "Continue", "wizard.next", lambda: self.step(1), kind="primary", tip="Continue  Enter"
        )
        fill(foot, self.skip, None, self.back, self.next)
        holder = QWidget()
        holder.setLayout(foot)
        holder.setFixedHeight(look().px(FOOT))
        layout.addWidget(holder)
        self.setFocusProxy(self.next)
        services.models.changed.connect(self._show_computer)
        services.models.visit()
        self.show_step(0)
        self._show_computer()

    # Steps

    def step(self, by: int) -> None:
        """On or back; past the last step it is done."""
        if by > 0 and STEPS[self._at] == "This computer":
            self._act_on_choice()
        if self._at + by >= len(STEPS):
            self.leave()
        else:
            self.show_step(max(0, self._at + by))

    def show_step(self, at: int) -> None:
        """Stand at this one."""
        self._at = at
        self.stack.setCurrentIndex(at)
        self.steps.show_step(at)
        is_last = at == len(STEPS) - 1
        self.back.setVisible(at > 0)
        self.skip.setVisible(not is_last)  # then nothing is left to be skipped
        self.next.setText("Start chatting" if is_last else "Continue")
        self.next.setAccessibleName(self.next.text())
        self.next.setFocus(Qt.FocusReason.OtherFocusReason)

    def leave(self) -> None:
        """Done, or skipped: it does not come by itself again."""
        self._services.store.set_flag(WIZARD_DONE, True)
        self._window.close_overlay()
        self._window.go("chat")

    # Screens

    def _welcome(self) -> QWidget:
        page, layout = _screen(
            "Welcome", "A workbench for AI on your own computer first. This takes a minute; Escape leaves."
        )
        appearance, settings = self._window.appearance, self._services.settings
        theme = Segmented(
            [("system", "System"), ("light", "Light"), ("dark", "Dark"), ("highContrast", "High contrast")],
            "Theme",
        )
        theme.setObjectName("wizard.theme")
        theme.setAccessibleName("Theme")
        theme.choose(look().choice)
        theme.changed.connect(appearance.set_theme)
        size = Segmented(
            [
                (f"{scale:g}", f"{round(scale * 100)} %")
                for scale in SCALES
                if scale in (0.9, 1.0, 1.25, 1.5, 2.0)
            ],
            "Text size",
        )
        size.setObjectName("wizard.textSize")
        size.setAccessibleName("Text size")
        size.choose(f"{appearance.scale:g}")
        size.changed.connect(taking(str, lambda key: appearance.set_scale(float(key))))
        motion = Switch("Reduced motion")
        motion.setObjectName("wizard.motion")
        motion.setAccessibleName("Reduced motion")
        motion.setToolTip("Nothing slides or fades")
        motion.setChecked(bool(settings.value(MOTION_KEY, False)))
        motion.toggled.connect(taking(bool, lambda is_on: settings.set(MOTION_KEY, is_on)))
        card = frame("card")
        box = column(card, (14, 4, 14, 4))
        for at, (title, detail, control) in enumerate(
            (("Theme", "Follows your desktop unless you choose.", theme), ("Text size", "Everything grows with it.", size),
             ("Reduced motion", "Nothing slides or fades.", motion))
        ):  # fmt: skip
            if at:
                box.addWidget(_rule())
            entry = row(margins=(0, 10, 0, 10), spacing=12)
            words = column(spacing=1)
            fill(words, label(title, "uiStrong"), label(detail, "small", "secondary"))
            fill(entry, words, None, control)
            box.addLayout(entry)
        layout.addWidget(card)
        layout.addStretch(1)
        return page

    def _computer(self) -> QWidget:
        page, layout = _screen("", "Here is what was found. Pick how to start, you can change it later.")
        self._computer_title = page.findChild(QWidget, "wizard.title")
        self.findings = Findings()
        layout.addWidget(self.findings)
        layout.addSpacing(20)
        self._options = column(spacing=10)
        layout.addLayout(self._options)
        layout.addStretch(1)
        self._group = QButtonGroup(self)
        return page

    def _show_computer(self) -> None:
        models, hardware = self._services.models, self._services.models.hardware
        title = self._computer_title
        if title is not None:
            title.setProperty(
                "text", "This computer can run models" if hardware is not None else "Looking at this computer"
            )
        rows: list[tuple[str, str, str]] = []
        if hardware is not None:
            rows.append(
                ("cpu", f"Processor, {wording.plural(hardware.cores, 'core')}",
                 f"{wording.whole_size(hardware.memory_bytes)} memory, {wording.whole_size(hardware.memory_free_bytes)} free")
            )  # fmt: skip
            rows += [
                ("gpu", card.name, f"{wording.whole_size(card.memory_bytes)}, {wording.whole_size(card.free_bytes)} free" if card.memory_bytes else "found")
                for card in hardware.gpus
            ]  # fmt: skip
            rows.append(("hard-drive", "Disk", f"{wording.whole_size(hardware.disk_free_bytes)} free"))
        have = [found for found in models.all_rows if not found.is_starter and not found.problem]
        starter = next((found for found in models.all_rows if found.is_starter), None)
        rows.append(
            ("folder", "Models you have", ", ".join(found.name for found in models.all_rows) or "none yet")
        )
        self.findings.show_rows(tuple(rows))
        self._fill_options(have, starter, hardware)

    def _fill_options(self, have: list[Any], starter: Any, hardware: Any) -> None:
        offers = [offer for offer in self._services.models.catalogue if estimate(offer, hardware) == "fits"]
        best = max(offers, key=lambda offer: offer.size_bytes_about, default=None)
        self._recommended = best.name if best is not None else ""
        options: list[Option] = []
        if starter is not None:
            options.append(
                Option(
                    "starter",
                    "Start small",
                    f"The built-in {starter.name} answers at once. Good for trying things out.",
                    "Ready now",
                )
            )
        if have:
            options.append(
                Option("have", "Use the models I have", f"{have[0].name} and what else is here.", "0 GB")
            )
        if best is not None:
            options.append(
                Option("recommended", f"Get {best.title}", f"{best.about} Downloads {wording.size(best.size_bytes_about)} meanwhile.", "Should fit", "ok", "circle-check")
            )  # fmt: skip
        while (item := self._options.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                self._group.removeButton(old)  # type: ignore[arg-type]
                old.hide()
                old.deleteLater()
        keys = [option.key for option in options]
        if self._choice not in keys and keys:
            self._choice = keys[0]
        for option in options:
            self._options.addWidget(option)
            self._group.addButton(option)
            option.setChecked(option.key == self._choice)
            option.clicked.connect(bind(self._choose, option.key))

    def _choose(self, key: str) -> None:
        self._choice = key

    def _act_on_choice(self) -> None:
        if self._choice == "recommended" and self._recommended:
            self._services.models.pull(self._recommended)

    def _privacy(self) -> QWidget:
        page, layout = _screen(
            "Your questions stay here",
            "No telemetry exists. A cloud model is asked only if you add one, with your own key.",
        )
        settings = self._services.settings
        local = Switch("Local only")
        local.setObjectName("wizard.localOnly")
        local.setAccessibleName("Local only")
        local.setToolTip("No question leaves this computer, whatever is configured")
        local.setChecked(bool(settings.value(PRIVACY_KEY, False)))
        local.toggled.connect(taking(bool, lambda is_on: settings.set(PRIVACY_KEY, is_on)))
        card = frame("card")
        box = row(card, (14, 12, 14, 12), 12)
        words = column(spacing=1)
        fill(
            words,
            label("Local only", "uiStrong"),
            label(
                "No question leaves this computer, whatever is configured.", "small", "secondary", wraps=True
            ),
        )
        box.addLayout(words, 1)
        box.addWidget(local)
        layout.addWidget(card)
        layout.addSpacing(12)
        layout.addWidget(
            label(
                "Providers are added in Models, Providers. Each is tested before it is saved, and its key goes to the keyring.",
                "small", "secondary", wraps=True,
            )
        )  # fmt: skip
        layout.addStretch(1)
        return page

    def _try(self) -> QWidget:
        page, layout = _screen("Ready", "The built-in model answers at once, with no key and no network.")
        findings = Findings()
        findings.show_rows(
            (
                ("message-square", "Ask", "Enter sends, Shift Enter breaks the line"),
                ("search", "Find anything", "Ctrl K"),
                ("box", "Models", "Ctrl 2"),
                ("settings", "Settings", "Ctrl ,"),
            )
        )
        layout.addWidget(findings)
        layout.addStretch(1)
        return page

    # Keys and looks

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Escape:
                self.leave()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.step(1)
            case _ if (
                event.text().isprintable() and event.text().strip() and not event.modifiers() & COMMAND_KEYS
            ):
                # Whoever begins to type wants to chat: nothing of it is lost.
                self.leave()
                QApplication.sendEvent(self._window.focusWidget(), event)
            case _:
                super().keyPressEvent(event)

    def focusNextPrevChild(self, following: bool) -> bool:
        """The focus stays in the set-up while it covers the window."""
        children = [
            found
            for found in self.findChildren(QWidget)
            if found.isVisible() and found.isEnabled() and found.focusPolicy() & Qt.FocusPolicy.TabFocus
        ]
        if not children:
            return False
        focused = self.window().focusWidget()
        place = children.index(focused) if focused in children else -1
        children[(place + (1 if following else -1)) % len(children)].setFocus(Qt.FocusReason.TabFocusReason)
        return True


Screen = tuple[QWidget, Any]


def _screen(title: str, lead: str) -> Screen:
    page = QWidget()
    outer = row(page, (24, 0, 24, 0))
    inner = QWidget()
    inner.setMaximumWidth(BODY)
    layout = column(inner, (0, 0, 0, 16))
    top = QWidget()
    top.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
    top.setMinimumHeight(24)
    top.setMaximumHeight(104)
    layout.addWidget(top, 1)
    layout.addWidget(label(title, "display", name="wizard.title", wraps=True))
    layout.addSpacing(6)
    layout.addWidget(label(lead, "body", "secondary", wraps=True))
    layout.addSpacing(20)
    outer.addStretch(1)
    outer.addWidget(inner, 1000)
    outer.addStretch(1)
    return page, layout


def _rule() -> QWidget:
    made = frame("line")
    made.setFixedHeight(1)
    return made
