"""The older OpenAI completions dialect: `POST /v1/completions`, text in and its continuation out.

Editors use it to complete code: many write the marks of their model for a gap into the prompt themselves, so it is sent as
it is, through no template, to models that go on with text. What a field becomes, or why it is refused or dropped, is
written in `translations.OPENAI_COMPLETIONS`. Source: the provider's own OpenAPI description and its Python library.
"""

from collections.abc import Mapping
from typing import Annotated, Final, cast

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.base import StreamWriter, WholeAnswer
from legion_core.gateway.dialects.fields import (
    STOP_MAX,
    FieldFault,
    ModelName,
    Penalty,
    Seed,
    Share,
    Tokens,
    TopK,
    decode,
    decode_item,
    pins,
    require,
)
from legion_core.gateway.dialects.openai_chat_answer import DONE, FINISH, KEEP_ALIVE, render_error
from legion_core.gateway.dialects.status import ClosedInError
from legion_core.gateway.dialects.translations import OPENAI_COMPLETIONS, Translation
from legion_core.gateway.types import (
    Closed,
    Joined,
    Message,
    Opened,
    Params,
    Request,
    StreamEvent,
    TextBlock,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from legion_core.kernel.clock import Clock, SystemClock
from legion_core.kernel.errors import LegionError

NAME: Final = "openai_completions"
MAX_TOKENS: Final = 16  # where none is given; source: the protocol's own default
_PROBABILITIES: Final = "token probabilities are not the same from every provider."
_NUMBERS: Final = "token numbers mean something to one model only."

_encode = msgspec.json.Encoder().encode


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Body(msgspec.Struct):
    """Fields not named here are dropped unread: a client can never set an address, a header or a key."""

    prompt: msgspec.Raw
    model: ModelName = ""
    suffix: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    seed: Seed | None = None
    stop: str | Annotated[list[str], Meta(max_length=STOP_MAX)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    # Read only to be refused: an answer without them would be a different answer.
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None


_decoder = msgspec.json.Decoder(_Body)
_prompt = cast("msgspec.json.Decoder[str | list[str]]", msgspec.json.Decoder(str | list[str]))


class CompletionRequest(Request, frozen=True, kw_only=True):
    """A request that came in this dialect. `include_usage`: the client asked for the usage in the stream."""

    include_usage: bool = False


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class _Choice(msgspec.Struct):
    text: str
    index: int
    finish_reason: str
    logprobs: None = None


class _Completion(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[_Choice]
    usage: _Usage


class OpenAICompletions:
    """See the module; stateless, one for the whole process."""

    def __init__(self, clock: Clock | None = None) -> None:
        """`clock` dates whole answers, which must say when they were made."""
        self._clock = clock or SystemClock()

    @property
    def name(self) -> str:
        """See `Dialect`."""
        return NAME

    @property
    def media_type(self) -> str:
        """See `Dialect`."""
        return "text/event-stream"

    @property
    def translations(self) -> tuple[Translation, ...]:
        """What becomes of every field of a request."""
        return OPENAI_COMPLETIONS

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`; also remembers whether the client wants the usage in the stream."""
        asked = decode(body, _decoder)
        require(asked.n in (None, 1), "n", "only one answer is given for a request.", hint="Ask n times.")
        require(asked.best_of in (None, 1), "best_of", "only one answer is made for a request.")
        require(not asked.echo, "echo", "the prompt is not given back.", hint="Put it before the answer.")
        require(asked.logprobs is None, "logprobs", _PROBABILITIES)
        require(
            "x-legion-conversation" not in headers,
            "x-legion-conversation",
            "a text to be gone on with is no part of a conversation.",
            hint="Use /v1/chat/completions.",
        )
        stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
        require(all(stop), "stop", "an empty stop sequence would end every answer.")
        return CompletionRequest(
            id=request_id,
            messages=(Message(role="user", content=(TextBlock(text=_text(asked.prompt)),)),),
            params=Params(
                max_tokens=asked.max_tokens or MAX_TOKENS,
                temperature=asked.temperature,
                top_p=asked.top_p,
                top_k=asked.top_k,
                seed=asked.seed,
                stop=stop,
                frequency_penalty=asked.frequency_penalty,
                presence_penalty=asked.presence_penalty,
            ),
            stream=bool(asked.stream),
            pins=pins(asked.model, headers),
            dialect=NAME,
            client=headers.get("user-agent", "")[:200],
            curate=False,
            is_raw=True,
            suffix=asked.suffix or "",
            include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
        )

    def render(self, answer: WholeAnswer) -> bytes:
        """See `Dialect`; raises what an answer that ended in an error failed with."""
        closed = answer.closed
        if closed.stop_reason == "error":
            raise ClosedInError(closed.error or "The answer could not be finished.", closed.error_code)
        choice = _Choice(text=answer.text, index=0, finish_reason=FINISH[closed.stop_reason])
        return _encode(
            _Completion(
                id=f"cmpl-{answer.request_id}",
                object="text_completion",
                created=int(self._clock.unix_s()),
                model=answer.model,
                choices=[choice],
                usage=_usage(closed.usage),
            )
        )

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """See `Dialect`."""
        return CompletionWriter(request, created_s=created_s)

    def render_error(self, error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
        """See `Dialect`; `is_unknown_caller` turns Denied into 401."""
        return render_error(error, is_unknown_caller=is_unknown_caller)


def _text(prompt: msgspec.Raw) -> str:
    """The one text; FieldFault for several, and for the token numbers that some libraries send instead."""
    start = bytes(memoryview(prompt)[:64]).translate(None, b" \t\r\n")
    require(not (start[:1] == b"[" and (start[1:2].isdigit() or start[1:2] == b"[")), "prompt", _NUMBERS)
    told = decode_item(prompt, _prompt, "prompt")
    if isinstance(told, list):
        require(len(told) == 1, "prompt", "only one text is gone on with.", hint="Ask once for each.")
        told = told[0]
    if not told:
        raise FieldFault("prompt", "is empty.")
    return told


def _usage(usage: Usage) -> _Usage:
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return _Usage(
        prompt_tokens=prompt,
        completion_tokens=usage.output_tokens,
        total_tokens=prompt + usage.output_tokens,
    )


class CompletionWriter:
    """Server-sent `text_completion` chunks.

    Ends with `[DONE]` if the answer succeeded, else with an `error` object and without `[DONE]`.
    """

    def __init__(self, request: Request, *, created_s: int) -> None:
        self._include_usage = isinstance(request, CompletionRequest) and request.include_usage
        self._id = _encode(f"cmpl-{request.id}")
        self._created_s = created_s
        self._head = b""

    def write(self, event: StreamEvent) -> bytes:
        """See `StreamWriter`."""
        match event:
            case TextDelta():
                return self._chunk(event.text)
            case Opened():
                # What repeats in every chunk is encoded once.
                self._head = (
                    b'data: {"id":%s,"object":"text_completion","created":%d,"model":%s,"choices":['
                    % (
                        self._id,
                        self._created_s,
                        _encode(event.lane.offer.id),
                    )
                )
                return b""
            case Joined():
                lane = event.seam.to_lane.replace("\r", " ").replace("\n", " ")
                return b": continued by %s at character %d\n\n" % (lane.encode(), event.seam.at_char)
            case ThinkingDelta() | ToolCallDelta():
                return b""  # a text that goes on has neither
            case Closed():
                return self._closed(event)

    def error(self, error: LegionError) -> bytes:
        """See `StreamWriter`."""
        return b"data: %s\n\n" % render_error(error)[1]

    def keep_alive(self) -> bytes:
        """See `StreamWriter`."""
        return KEEP_ALIVE

    def _chunk(self, text: str, finish: str | None = None) -> bytes:
        return b'%s{"text":%s,"index":0,"logprobs":null,"finish_reason":%s}]}\n\n' % (
            self._head,
            _encode(text),
            _encode(finish),
        )

    def _closed(self, event: Closed) -> bytes:
        if event.stop_reason == "error":
            return self.error(ClosedInError(event.error or "The answer broke off.", event.error_code))
        finish = self._chunk("", FINISH[event.stop_reason])
        if self._include_usage:
            finish += b'%s],"usage":%s}\n\n' % (self._head, _encode(_usage(event.usage)))
        return finish + DONE
