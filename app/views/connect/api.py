"""The API tab: the addresses at which programs ask for models, by the protocol they speak."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QWidget

from app.viewmodels.connect import ConnectViewModel
from app.views.connect.copying import CopyField
from app.views.parts import column, fill, frame, label

DIALECTS = (
    ("openai", "OpenAI: chat, responses, embeddings", "/v1"),
    ("anthropic", "Anthropic: messages", ""),
    ("ollama", "Ollama", ""),
    ("gemini", "Gemini", ""),
    ("rest", "Native REST, described at /openapi.json", "/api/v1"),
)


class ApiTab(QWidget):
    """Each address with its copy button."""

    def __init__(self, connect: ConnectViewModel) -> None:
        super().__init__()
        self._connect = connect
        self.fields: dict[str, CopyField] = {}
        body = frame("scrolled")
        layout = column(body, (16, 14, 16, 14), 12)
        intro = label(
            "Any program that speaks one of these protocols can ask the models of this workbench. The model "
            "“auto” lets the router choose. Each program should have a key of its own: Settings, or "
            "“legion token create”.",
            "small", "secondary", wraps=True,
        )  # fmt: skip
        layout.addWidget(intro)
        for key, title, _ in DIALECTS:
            field = CopyField(f"connect.api.{key}", title, lambda words: connect.told.emit(words, "copy"))
            field.setMaximumWidth(560)
            one = column(spacing=4)
            fill(one, label(title, "caption", "tertiary"), field)
            layout.addLayout(one)
            self.fields[key] = field
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setAccessibleName("Addresses")
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        column(self).addWidget(scroll)
        connect.changed.connect(self._show)
        self._show()

    def take_focus(self, reason: Qt.FocusReason) -> None:
        """The first address."""
        self.fields["openai"].setFocus(reason)

    def _show(self) -> None:
        for key, _, path in DIALECTS:
            base = self._connect.base
            self.fields[key].show_value(f"{base}{path}" if base else "", "The address is not open")
