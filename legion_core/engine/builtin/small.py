"""`log.message.write`, `notify.desktop.send`, `llm.chat.ask`: a line, a word to the person, a question to a model."""

import logging
from collections.abc import Callable
from typing import Any, Literal

from legion_core.engine.extension import Context, function
from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.ports import ACTING, Asker

log = logging.getLogger("legion.task")

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
TITLE_CHARS_MAX, TEXT_CHARS_MAX = 120, 1_000
PROMPT_CHARS_MAX = 200_000
Notify = Callable[[str, str, str], None]


class LogMessages:
    """The runner `log.message`."""

    @function(effect="pure")
    async def write(
        self,
        context: Context,
        message: str = "",
        level: Literal["debug", "info", "warning", "error"] = "info",
        data: Any = None,
    ) -> dict[str, object]:
        """Write a line to the log of the workbench and of this task.

        Args:
            context: the task's
            message: the line
            level: how urgent it is
            data: kept in the result
        """
        context.log(message, level)
        log.log(_LEVELS[level], "%s: %s", context.task_id, message[:4_000])
        return {"message": message, "level": level, "data": data}


class DesktopNotes:
    """The runner `notify.desktop`."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify

    @function(effect="at_most_once")
    async def send(self, context: Context, title: str, text: str = "") -> dict[str, object]:
        """Show the person a note.

        Args:
            context: the task's
            title: its first line
            text: the rest
        """
        if not title.strip():
            raise InvalidInput("`title` is empty.")
        self._notify(title[:TITLE_CHARS_MAX], text[:TEXT_CHARS_MAX], context.task_id)
        return {"title": title[:TITLE_CHARS_MAX]}


class Questions:
    """The runner `llm.chat`."""

    def __init__(self, asker: Callable[[], Asker]) -> None:
        self._asker = asker

    @function(timeout_s=600.0)
    async def ask(self, prompt: str, system: str = "", model: str = "") -> dict[str, object]:
        """Ask a model.

        Args:
            prompt: the question
            system: how it shall behave
            model: which one; the router chooses if empty
        """
        if not prompt.strip() or len(prompt) > PROMPT_CHARS_MAX:
            raise InvalidInput(f"`prompt` holds 1 to {PROMPT_CHARS_MAX:,} characters.")
        text = await self._asker().ask(ACTING.get(), prompt, system=system, model=model)
        return {"text": text}
