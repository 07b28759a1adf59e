"""Every client protocol this node speaks, by name; one is imported when the first of its clients comes."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast

from legion_core.gateway.dialects.base import Dialect
from legion_core.kernel.clock import Clock

# name: (module, class, whether it stamps its answers with the time)
_PLACES: Final = {
    "openai_chat": ("legion_core.gateway.dialects.openai_chat", "OpenAIChat", True),
    "openai_completions": ("legion_core.gateway.dialects.openai_completions", "OpenAICompletions", True),
    "anthropic_messages": ("legion_core.gateway.dialects.anthropic_messages", "AnthropicMessages", False),
    "openai_responses": ("legion_core.gateway.dialects.openai_responses", "OpenAIResponses", True),
    "ollama_chat": ("legion_core.gateway.dialects.ollama", "OllamaChat", True),
    "ollama_generate": ("legion_core.gateway.dialects.ollama", "OllamaGenerate", True),
    "gemini": ("legion_core.gateway.dialects.gemini", "GeminiGenerate", False),
}


class Dialects(Mapping[str, Dialect]):
    """Made at the first look-up and then kept, because some remember (the responses dialect its earlier answers)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made: dict[str, Dialect] = {}

    def __getitem__(self, name: str) -> Dialect:
        if name not in self._made:
            module, kind, is_dated = _PLACES[name]
            made = cast(
                "Callable[..., Dialect]",
                getattr(importlib.import_module(module), kind),
            )
            self._made[name] = made(self._clock) if is_dated else made()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)
