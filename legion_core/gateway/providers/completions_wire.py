"""The older OpenAI wire, from our side: text in, its continuation out (`POST /completions`). Pure.

Spoken by vLLM, llama-server, SGLang, LM Studio and others; what comes behind the gap (`suffix`) only by some.
"""

from collections.abc import Sequence

import msgspec

from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.gateway.providers.openai_wire import LLAMA_SERVER, STOP, VLLM, Flavour, WireUsage
from legion_core.gateway.providers.ranges import check_ranges
from legion_core.gateway.providers.refusal import in_band
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.types import Chunk, Finished, JsonObject, Request, TextDelta, Usage
from legion_core.kernel.errors import Malformed, StreamBroken, Unsupported

# vLLM refuses a suffix, llama-server passes it over.
WITHOUT_SUFFIX = (VLLM, LLAMA_SERVER)


class _StreamOptions(msgspec.Struct, omit_defaults=True):
    include_usage: bool
    continuous_usage_stats: bool = False


class _Body(msgspec.Struct, omit_defaults=True):
    """Everything this wire ever sends: what is not a field here cannot reach a provider."""

    model: str
    prompt: str
    stream: bool
    stream_options: _StreamOptions
    suffix: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None


def completion_body(request: Request, model: str, flavour: Flavour, *, prefix: str = "") -> bytes:
    """The JSON of `POST /completions`; `prefix` is more of the text."""
    params = request.params
    check_ranges(params)
    if request.suffix and flavour in WITHOUT_SUFFIX:
        raise Unsupported("This provider fills no gap: it knows no suffix.", capability="fim")
    body = _Body(
        model=model,
        prompt=request.messages[-1].text + prefix,
        stream=True,
        stream_options=_StreamOptions(include_usage=True, continuous_usage_stats=flavour.counts_on_the_way),
        suffix=request.suffix,
        max_tokens=params.max_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k if flavour.takes_top_k else None,
        seed=params.seed,
        stop=list(params.stop) or None,
        frequency_penalty=params.frequency_penalty,
        presence_penalty=params.presence_penalty,
    )
    return msgspec.json.encode(body)


class _Choice(msgspec.Struct):
    index: int = 0
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: WireUsage | None = None
    error: JsonObject | str | None = None


_decoder = msgspec.json.Decoder(_Chunk)


class CompletionReader:
    """The meaning of one stream's events; see `wire.Reader`. It ends as a chat's does: `[DONE]`, or a finish reason."""

    def __init__(self, who: str, request: Request, *, prefix: str, secrets: tuple[str, ...]) -> None:
        self._who = who
        self._request = request
        self._prefix = prefix
        self._secrets = secrets
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._chars = 0

    @property
    def is_ending(self) -> bool:
        """Whether a finish reason was given: no more of the answer is to come."""
        return self._finish is not None

    def read(self, event: SseEvent) -> Sequence[Chunk]:
        """See `wire.Reader`."""
        if event.data.startswith("[DONE]"):
            if self._finish is None and not self._chars:
                raise StreamBroken(f"{self._who} ended its answer before it began.")
            return (self._finished(),)
        try:
            chunk = _decoder.decode(event.data)
        except (msgspec.MsgspecError, RecursionError) as error:
            if event.event not in ("", "message"):
                return ()
            raise Malformed(f"{self._who} sent a chunk that is not of its protocol: {error}.") from error
        if chunk.error:
            raise in_band(chunk.error, who=self._who, secrets=self._secrets)
        if chunk.usage is not None:
            self._usage = chunk.usage.canonical()
        out: list[Chunk] = []
        for choice in chunk.choices or ():
            if choice.index:
                continue
            if choice.text:
                self._chars += len(choice.text)
                out.append(TextDelta(text=choice.text))
            self._finish = choice.finish_reason or self._finish
        return out

    def at_end(self) -> Finished | None:
        """See `wire.Reader`: complete if a finish reason was given."""
        return self._finished() if self._finish is not None else None

    def so_far(self) -> Usage | None:
        """See `wire.Reader`: some servers bring the counts with every chunk, if they are asked to."""
        return self._usage

    def _finished(self) -> Finished:
        usage = self._usage or estimated_usage(self._request, prefix=self._prefix, output_chars=self._chars)
        return Finished(stop_reason=STOP.get(self._finish or "stop", "end_turn"), usage=usage)
