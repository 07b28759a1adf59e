"""The access section: tokens of clients, shown once and revoked at once, and the policy with who may do what under it."""

from collections.abc import Callable

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.theme.apply import look
from app.theme.paint import PillTone
from app.viewmodels import wording
from app.viewmodels.access import PRESET_WORDS, SPANS, AccessViewModel, who_may
from app.views.about import ask_remove_policy, ask_revoke_token
from app.views.painted import PillRow
from app.views.parts import button, column, fill, frame, label, line, row
from app.widgets.code_field import CodeField


class AccessSection(QWidget):
    """Follows the view-model, which holds what is being written."""

    def __init__(self, access: AccessViewModel) -> None:
        super().__init__()
        self.setObjectName("access")
        self.setAccessibleName("Access")
        self._access = access
        layout = column(self, (12, 4, 12, 12), 10)
        words = (
            "Programs reach this workbench with a token. The owner's may do everything; give every other program one "
            "of its own, which may do less and ends when you say so."
        )
        self.refusal = label("", "small", "error", wraps=True, name="access.refusal")
        self.refusal.setVisible(False)
        self._tokens = column()
        fill(layout, label(words, "small", "secondary", wraps=True), self._made(), self._tokens, self._form())
        fill(layout, self.refusal, 6, label("Policy", "uiStrong"), *self._policy())
        access.changed.connect(self.refresh)
        access.checked.connect(self._say_check)
        access.failed.connect(self._refuse)
        access.refresh()
        self.refresh()

    # Tokens

    def _made(self) -> QWidget:
        self.made = frame("card", "access.made")
        self.made.setAccessibleName("The new token")
        inside = column(self.made, (14, 10, 14, 10), 6)
        self.made_words = label("", "uiStrong", wraps=True)
        self.secret = QLineEdit()
        self.secret.setObjectName("access.secret")
        self.secret.setAccessibleName("The token, shown this once")
        self.secret.setToolTip("The token, shown this once")
        self.secret.setReadOnly(True)
        self._restyle()
        look().theme_changed.connect(self._restyle)
        buttons = row(spacing=6)
        copy = button("Copy", "access.copy", self._copy, icon="copy", kind="primary", small=True)
        done = button(
            "Put away", "access.put-away", self._access.put_away, small=True, tip="It cannot be shown again"
        )
        fill(buttons, copy, done, None)
        fill(inside, self.made_words, self.secret, buttons)
        return self.made

    def _form(self) -> QWidget:
        form = QWidget()
        line_of = row(form, spacing=6)
        self.name = _field("access.name", "Name of the program", "Name, such as my-editor")
        self.preset = _choice(
            "access.preset", "What it may do", [(words, key) for key, words in PRESET_WORDS.items()]
        )
        self.span = _choice("access.span", "How long it lasts", [(words, words) for words in SPANS])
        self.make = button("Create", "access.create", self._create)
        self.name.returnPressed.connect(self._create)
        fill(line_of, self.name, self.preset, self.span, self.make)
        return form

    def _create(self) -> None:
        name = self.name.text().strip()
        if not name:
            self.name.setFocus()
            return
        self.refusal.setVisible(False)
        self._access.create(name, str(self.preset.currentData()), SPANS[str(self.span.currentData())])

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.secret.text())

    def _revoke(self, name: str) -> None:
        if ask_revoke_token(self, name):
            self._access.revoke(name)

    # The policy

    def _policy(self) -> tuple[QWidget | QHBoxLayout | QVBoxLayout, ...]:
        words = (
            "Roles by path. A deny beats every allow, and what nothing allows is denied. Without a policy a token may do "
            "what it was given when it was made."
        )
        self.pill = PillRow("access.policy.state")
        self.editor = CodeField("access.policy", "The policy, as TOML", least=6, most=22, has_numbers=True)
        self.editor.written.connect(lambda: self._access.edit(self.editor.toPlainText()))
        self.apply = button("Put in force", "access.apply", self._access.apply, kind="primary", small=True)
        self.back = button("Put back", "access.back", self._access.put_back, kind="ghost", small=True)
        self.example = button(
            "Begin with an example", "access.example", self._access.take_example, small=True
        )
        self.remove = button("Remove…", "access.remove", self._remove, kind="ghostDanger", small=True)
        buttons = row(spacing=6)
        fill(buttons, self.apply, self.back, self.example, None, self.remove)
        self._found = column(spacing=4)
        return label(words, "small", "secondary", wraps=True), self.pill, self.editor, buttons, self._found

    def _remove(self) -> None:
        if ask_remove_policy(self):
            self._access.remove()

    # Showing

    def _restyle(self) -> None:
        self.secret.setFont(look().font("codeSmall"))  # where l, I and 1 differ

    def refresh(self) -> None:
        """As it is now."""
        access = self._access
        self.made.setVisible(bool(access.secret))
        self.made_words.setText(f"The token of {access.secret_name}. Copy it now: it is not shown again.")
        self.secret.setText(access.secret)
        if access.secret and self.name.text().strip() == access.secret_name:
            self.name.clear()
        _empty(self._tokens)
        for found in access.live:
            detail = ", ".join(found.scopes[:3]) + (
                f" and {len(found.scopes) - 3} more" if len(found.scopes) > 3 else ""
            )
            expires = f"until {found.expires_at.astimezone():%Y-%m-%d}" if found.expires_at else ""
            told = " · ".join(part for part in (found.client, detail or "by its roles", expires) if part)
            self._tokens.addWidget(
                _TokenRow(found.name, told, found.tail, lambda what=found.name: self._revoke(what))
            )
        if self.editor.toPlainText() != access.draft:
            self.editor.set_words(access.draft)
        self._say_check()

    def _say_check(self) -> None:
        access = self._access
        words: str
        tone: PillTone
        if access.file_faults and not access.is_edited:
            words, tone, icon = (
                "The file has faults; what was before it is in force",
                "warn",
                "triangle-alert",
            )
        elif access.is_in_force:
            words, tone, icon = "In force", "ok", "shield-check"
        else:
            words, tone, icon = "No policy", "neutral", "shield-off"
        pills = [(words, tone, icon)]
        if access.is_edited:
            fits = not access.faults
            pills.append(
                (
                    "Not in force yet" if fits else wording.plural(len(access.faults), "fault"),
                    "warn",
                    "pencil",
                )
            )
        self.pill.show_pills(*pills)
        self.apply.setEnabled(access.is_edited and not access.faults and bool(access.draft.strip()))
        self.back.setVisible(access.is_edited)
        self.example.setVisible(not access.draft.strip())
        self.remove.setVisible(access.is_in_force)
        _empty(self._found)
        for fault in (*access.faults, *(() if access.is_edited else access.file_faults)):
            self._found.addWidget(label(fault, "small", "error", wraps=True, selectable=True))
        for subject, may, gains, loses in who_may(access.preview):
            self._found.addWidget(label(subject, "uiStrong"))
            self._found.addWidget(label(f"may {may}", "small", "secondary", wraps=True, selectable=True))
            if gains:
                self._found.addWidget(label(f"new: {gains}", "small", "accent", wraps=True, selectable=True))
            if loses:
                self._found.addWidget(
                    label(f"no more: {loses}", "small", "error", wraps=True, selectable=True)
                )

    def _refuse(self, sentence: str) -> None:
        self.refusal.setText(sentence)
        self.refusal.setVisible(bool(sentence))


class _TokenRow(QWidget):
    def __init__(self, name: str, detail: str, tail: str, revoke: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName(f"token.{name}")
        outer = column(self)
        inner = row(margins=(0, 6, 0, 6), spacing=8)
        words = column(spacing=1)
        fill(words, label(name, "uiStrong"), label(detail, "small", "tertiary", wraps=True))
        inner.addLayout(words, 1)
        fill(
            inner, label(f"…{tail}", "small", "tertiary"),
            button("Revoke…", f"token.{name}.revoke", revoke, small=True, kind="ghostDanger", tip=f"Revoke {name}"),
        )  # fmt: skip
        fill(outer, inner, line())


def _empty(layout: QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (old := item.widget()) is not None:
            old.hide()
            old.deleteLater()


def _field(name: str, title: str, placeholder: str) -> QLineEdit:
    made = QLineEdit()
    made.setObjectName(name)
    made.setAccessibleName(title)
    made.setToolTip(title)
    made.setPlaceholderText(placeholder)
    return made


def _choice(name: str, title: str, choices: list[tuple[str, str]]) -> QComboBox:
    made = QComboBox()
    made.setObjectName(name)
    made.setAccessibleName(title)
    made.setToolTip(title)
    for words, value in choices:
        made.addItem(words, value)
    return made
