"""What the inspector of the chat page shows: the route of an answer, or what curation does to the chat."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QStackedWidget

from app.viewmodels.trace import trace_of
from app.views.chat.trace_panel import TracePanel
from app.views.services import Services

if TYPE_CHECKING:
    from app.viewmodels.curation import CurationViewModel
    from app.views.chat.curation_panel import CurationPanel


class Inspecting(QStackedWidget):
    """`close` hides the inspector, `pin_tier` holds the chat to a tier, `curation` gives its view-model when asked."""

    def __init__(
        self,
        services: Services,
        close: Callable[[], None],
        pin_tier: Callable[[str], None],
        curation: "Callable[[], CurationViewModel]",
    ) -> None:
        super().__init__()
        self.setObjectName("chat.inspected")
        self._services = services
        self._close = close
        self._pin_tier = pin_tier
        self._curation = curation
        self._panel: CurationPanel | None = None
        self._traced = ""
        self.trace = TracePanel(close=close, regenerate=self._regenerate, pin=self._pin)
        self.addWidget(self.trace)

    def show_curation(self) -> None:
        """What the model will see."""
        if self._panel is None:
            from app.views.chat.curation_panel import CurationPanel

            self._panel = CurationPanel(self._curation(), self._close)
            self.addWidget(self._panel)
        self.setCurrentWidget(self._panel)

    def show_trace(self, message_id: str) -> None:
        """The route of this answer."""
        self.setCurrentWidget(self.trace)
        self._fill(message_id)

    def follow(self, *, is_shown: bool) -> None:
        """The route of the latest answer; while nobody looks only where the one traced is gone."""
        answer = self._services.chat.last_answer
        if answer is None:
            self._traced = ""
            self.trace.show_trace(None)
        elif is_shown or not self._traced or self._services.chat.find(self._traced) is None:
            self._fill(answer.id)

    def _fill(self, message_id: str) -> None:
        chat = self._services.chat
        message = chat.find(message_id)
        if message is None:
            return
        self._traced = message_id
        self.trace.show_trace(trace_of(message))
        question = chat.question_of(message)
        if question is None or message.left_out is not None:
            return
        pins = chat.pins

        def done(decision: Any) -> None:
            if self._traced == message_id:
                self.trace.show_trace(trace_of(message, decision))

        self._services.bridge.launch(
            "route.explain", lambda legion: legion.llm.explain(question.text, pins=pins), done, lambda _: None
        )

    def _regenerate(self) -> None:
        if self._traced:
            self._services.chat.regenerate(self._traced)

    def _pin(self) -> None:
        message = self._services.chat.find(self._traced)
        if message is not None and message.tier:
            self._pin_tier(message.tier)
