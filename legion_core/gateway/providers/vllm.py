"""vLLM: the OpenAI wire, with what this server adds to it and what it lets through.

It says how long a context it was started with, thinks by a word to the model's own template, and goes on behind a given
beginning of an answer when it is told to by a flag.
"""

from collections.abc import Sequence

from legion_core.gateway.providers.openai import OpenAICompatible
from legion_core.gateway.providers.openai_wire import VLLM, ChatReader
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.providers.vllm_text import CleanReader
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, Reader
from legion_core.gateway.types import ModelOffer, Request
from legion_core.kernel.clock import Clock


class Vllm(OpenAICompatible):
    """One instance; see `Provider`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        clock: Clock,
        *,
        api_key: str = "",
        models: Sequence[ModelOffer] = (),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """As `OpenAICompatible`."""
        super().__init__(
            name, base_url, clock, api_key=api_key, kind="vllm", models=models, limits=limits, flavour=VLLM
        )

    def _reader(self, request: Request, names: ToolNames, prefix: str) -> Reader[SseEvent]:
        return CleanReader(ChatReader(self._name, request, names, prefix=prefix, secrets=self._wire.secrets))
