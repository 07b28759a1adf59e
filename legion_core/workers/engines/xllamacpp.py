"""llama.cpp through the `xllamacpp` wheel: its own server code called in process, no HTTP in between.

The library insists on opening a listener. It gets a Unix socket in a private folder, guarded by a random key and
unlinked as soon as the model is loaded, so nobody can reach it; where there are no Unix sockets, a loopback port with
that key. Seen with 2026.10: a host name ending in `.sock` makes a Unix socket.
"""

import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from legion_core.workers.engines.base import (
    EMBED_BATCH_MAX,
    PREFILL_BATCH,
    Emit,
    EngineError,
    ForcedTool,
    IsCancelled,
    Loaded,
    check_chat,
    forced_tool,
    sampling,
    stop_reason,
    with_instruction,
)
from legion_core.workers.frames import (
    CONTEXT_TOKENS_AUTO_MAX,
    Chat,
    Done,
    Embed,
    Embedded,
    FailCode,
    Load,
    Message,
    Progress,
    StopReason,
    Token,
    ToolCallPart,
)

_TOO_LARGE = re.compile(r"input \((\d+) tokens\) is too large")

Json = dict[str, Any]  # the library's wire, this file only


class XllamacppEngine:
    """See `Engine`. Several slots share one context by the library's continuous batching."""

    name = "xllamacpp"

    def __init__(self) -> None:
        self._server: Any = None
        self._loaded = Loaded(version="", context_tokens=0, slots=1, threads=1)
        self._knows_tools = False

    def load(self, load: Load) -> Loaded:
        """See `Engine`."""
        import xllamacpp as library

        xllamacpp = cast("Any", library)  # it has no type stubs

        threads = load.threads or max(1, (os.cpu_count() or 2) - 1)
        context = load.context_tokens or CONTEXT_TOKENS_AUTO_MAX
        pooling: Any = xllamacpp.llama_pooling_type
        poolings = {
            "model": (pooling.LLAMA_POOLING_TYPE_UNSPECIFIED, pooling.LLAMA_POOLING_TYPE_MEAN),
            "mean": (pooling.LLAMA_POOLING_TYPE_MEAN,),
            "cls": (pooling.LLAMA_POOLING_TYPE_CLS,),
            "last": (pooling.LLAMA_POOLING_TYPE_LAST,),
        }[load.pooling]
        # A chat model states no pooling, and the library then refuses to embed: the mean is the usual second choice.
        for kind in poolings if load.is_embedding else poolings[:1]:
            params = _params(xllamacpp, load, context, threads, kind)
            props = self._open(xllamacpp, params)
            if not load.is_embedding or "data" in self._server.handle_embeddings({"input": ["a"]}):
                break
        else:
            raise EngineError("load_failed", "The model cannot make embeddings.")
        settings: Json = props.get("default_generation_settings", {})
        caps: Json = props.get("chat_template_caps", {})
        self._knows_tools = bool(caps.get("supports_tools", False))
        self._loaded = Loaded(
            version=str(xllamacpp.__version__),
            context_tokens=int(settings.get("n_ctx", context)),
            slots=load.slots,
            threads=threads,
        )
        return self._loaded

    def _open(self, xllamacpp: Any, params: Any) -> Json:
        """Start the library's server and read its properties, then shut its door."""
        self._server = None  # the one before, if any, is freed first
        key = os.urandom(16).hex()
        params.api_keys = [key]
        folder = Path(tempfile.mkdtemp(prefix="legion-"))
        try:
            if hasattr(socket, "AF_UNIX"):
                params.hostnames = [str(folder / "engine.sock")]
            else:
                params.hostnames = ["127.0.0.1"]
                params.port = 0
            try:
                self._server = xllamacpp.Server(params)
            except (RuntimeError, ValueError) as error:
                raise EngineError("load_failed", f"The engine refuses the file: {error}") from error
            return _properties(str(self._server.listening_address), key)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def chat(self, chat: Chat, emit: Emit, is_cancelled: IsCancelled) -> Done:
        """See `Engine`."""
        check_chat(chat)
        if chat.params.output_tokens_max == 0:
            return Done(id=chat.id, stop_reason="length")
        forced = None if self._knows_tools else forced_tool(chat)
        turn = _Turn(chat.id, emit, is_cancelled, forced)
        try:
            answer = self._server.handle_completions if chat.is_raw else self._server.handle_chat_completions
            answer(_request(chat, forced), turn.on_chunk)
        except (ValueError, RuntimeError) as error:
            raise EngineError("invalid_input", f"The engine refuses the request: {error}") from error
        return turn.done()

    def embed(self, embed: Embed) -> Embedded:
        """See `Engine`."""
        if not embed.texts or not all(embed.texts):
            raise EngineError("invalid_input", "An empty text cannot be embedded.")
        answer: Json = self._server.handle_embeddings({"input": list(embed.texts)})
        if "error" in answer:
            raise _error(answer, self._loaded.context_tokens)
        rows: list[Json] = sorted(answer["data"], key=lambda row: int(row["index"]))
        return Embedded(
            id=embed.id,
            vectors=tuple(tuple(row["embedding"]) for row in rows),
            prompt_tokens=int(answer.get("usage", {}).get("prompt_tokens", 0)),
        )


def _params(xllamacpp: Any, load: Load, context: int, threads: int, pooling: Any) -> Any:
    params: Any = xllamacpp.CommonParams()
    params.model.path = load.model_path
    params.n_ctx = context
    params.n_parallel = load.slots
    params.kv_unified = True  # each slot may use what the others leave
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = load.gpu_layers
    params.n_batch = params.n_ubatch = PREFILL_BATCH if load.gpu_layers == 0 else 512
    params.n_threads_http = 1
    params.warmup = False
    params.ctx_shift = (
        False  # a full context ends the answer with "length" instead of forgetting its beginning
    )
    params.prefill_assistant = False  # only when asked, by `continue_final_message`
    params.cache_ram_mib = max(0, load.prompt_cache_mib)  # the library's own default is 8 GiB
    params.verbosity = 1
    params.ui = False
    params.fit_params = False  # take the numbers as given; fitting is decided before the start
    if load.is_embedding:
        params.embedding = True
        params.pooling_type = pooling
        params.n_batch = params.n_ubatch = min(context, EMBED_BATCH_MAX)
    return params


def _properties(address: str, key: str) -> Json:
    """`GET /props` by hand: it alone tells the context in force and what the template can do."""
    if address.startswith("unix://"):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.connect(address.removeprefix("unix://"))
    else:
        host, _, port = address.removeprefix("http://").rpartition(":")
        line = socket.create_connection((host, int(port)), timeout=10)
    with line:
        line.settimeout(10)
        line.sendall(
            f"GET /props HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    try:
        found = json.loads(answer.partition(b"\r\n\r\n")[2])
    except ValueError:
        return {}
    return cast("Json", found) if isinstance(found, dict) else {}


def _message(message: Message) -> Json:
    made: Json = {"role": message.role, "content": message.content}
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    if message.name:
        made["name"] = message.name
    return made


def _request(chat: Chat, forced: ForcedTool | None) -> Json:
    messages = with_instruction(chat.messages, forced.instruction) if forced else chat.messages
    chosen = sampling(chat.params)
    asked = [_message(message) for message in messages]
    body: Json = {
        **({"prompt": messages[0].content} if chat.is_raw else {"messages": asked}),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # a chunk after each batch of the prompt, where a cancel is seen
        "cache_prompt": True,
        "temperature": chosen.temperature,
        "top_p": chosen.top_p,
        "top_k": chosen.top_k,
        "min_p": chosen.min_p,
        "repeat_penalty": chosen.repeat_penalty,
        "frequency_penalty": chosen.frequency_penalty,
        "presence_penalty": chosen.presence_penalty,
    }
    if chosen.tokens_max is not None:
        body["max_tokens"] = chosen.tokens_max
    if chosen.seed is not None:
        body["seed"] = chosen.seed
    if chosen.stop:
        body["stop"] = list(chosen.stop)
    if chat.continue_final:
        body["continue_final_message"] = True
        body["add_generation_prompt"] = False
    schema = forced.schema if forced else chat.json_schema or None
    if schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": json.loads(schema)},
        }
    elif chat.tools and chat.tool_choice != "none":
        body.update(_native_tools(chat))
    return body


def _native_tools(chat: Chat) -> Json:
    # The library knows auto, none and required only: one named tool is "required" with that tool alone.
    named = [tool for tool in chat.tools if tool.name == chat.tool_choice]
    return {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": json.loads(tool.parameters),
                },
            }
            for tool in named or chat.tools
        ],
        "tool_choice": "required" if named else chat.tool_choice,
    }


class _Turn:
    """Turns the library's chunks into pieces; its `on_chunk` returns True to stop the generation."""

    def __init__(self, id_: int, emit: Emit, is_cancelled: IsCancelled, forced: ForcedTool | None) -> None:
        self._id = id_
        self._emit = emit
        self._is_cancelled = is_cancelled
        self._forced = forced
        self._forced_text: list[str] = []
        self._finish: str | None = None
        self._was_cancelled = False
        self._error: BaseException | None = None
        self._pieces = 0
        self._prompt = 0
        self._timings: Json = {}

    @property
    def on_chunk(self) -> Callable[[Json], bool]:
        """The callback; what it raises is kept and raised again in `done`, for native code must not see it."""

        def take(chunk: Json) -> bool:
            try:
                return self._take(chunk)
            except BaseException as error:  # noqa: BLE001 - see above
                self._error = error
                return True

        return take

    def _take(self, chunk: Json) -> bool:
        if self._is_cancelled():
            self._was_cancelled = True
            return True
        if "error" in chunk:
            raise _error(chunk, 0)
        if progress := chunk.get("prompt_progress"):
            self._prompt = int(progress.get("total", 0))
            done = int(progress.get("processed", 0))
            self._emit(Progress(id=self._id, tokens_done=done, tokens_total=self._prompt))
        if timings := chunk.get("timings"):
            self._timings = timings
        for choice in chunk.get("choices", ()):
            self._finish = choice.get("finish_reason") or self._finish
            # A text that is gone on with comes without a delta around it.
            self._delta(choice.get("delta") or {"content": choice.get("text")})
        return False

    def _delta(self, delta: Json) -> None:
        if thinking := delta.get("reasoning_content"):
            self._pieces += 1
            self._emit(Token(id=self._id, text=thinking, channel="thinking"))
        if text := delta.get("content"):
            self._pieces += 1
            if self._forced:
                self._forced_text.append(text)
            else:
                self._emit(Token(id=self._id, text=text))
        for call in delta.get("tool_calls") or ():
            self._pieces += 1
            function: Json = call.get("function") or {}
            self._emit(
                ToolCallPart(
                    id=self._id,
                    index=int(call.get("index", 0)),
                    call_id=call.get("id") or "",
                    name=function.get("name") or "",
                    arguments=function.get("arguments") or "",
                )
            )

    def done(self) -> Done:
        """The last frame; raises what went wrong on the way."""
        if self._error is not None:
            raise self._error
        reason: StopReason = "cancelled" if self._was_cancelled else stop_reason(self._finish)
        if self._forced and reason == "stop":
            name, arguments = self._forced.call("".join(self._forced_text))
            self._emit(ToolCallPart(id=self._id, index=0, call_id="call_0", name=name, arguments=arguments))
            reason = "tool_calls"
        cached = int(self._timings.get("cache_n", 0))
        return Done(
            id=self._id,
            stop_reason=reason,
            prompt_tokens=cached + int(self._timings.get("prompt_n", 0)) if self._timings else self._prompt,
            output_tokens=int(self._timings.get("predicted_n", self._pieces)),
            cached_tokens=cached,
            prompt_ms=float(self._timings.get("prompt_ms", 0.0)),
            decode_ms=float(self._timings.get("predicted_ms", 0.0)),
        )


def _error(answer: Json, limit: int) -> EngineError:
    error: Json = answer["error"] if isinstance(answer.get("error"), dict) else {"message": str(answer)}
    message = str(error.get("message", "The engine failed without a word."))
    if error.get("type") == "exceed_context_size_error":
        asked = int(error.get("n_prompt_tokens", 0))
        limit = int(error.get("n_ctx", limit))
        return EngineError(
            "context_too_long",
            f"The prompt has {asked} tokens, the context {limit}.",
            limit=limit,
            asked=asked,
        )
    if found := _TOO_LARGE.search(message):
        asked = int(found[1])
        return EngineError(
            "context_too_long", f"A text of {asked} tokens is too long to embed.", limit=limit, asked=asked
        )
    kinds: dict[object, FailCode] = {
        "invalid_request_error": "invalid_input",
        "not_supported_error": "unsupported",
    }
    return EngineError(kinds.get(error.get("type"), "engine_failed"), message)
