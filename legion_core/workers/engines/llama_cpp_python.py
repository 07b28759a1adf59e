"""llama.cpp through `llama-cpp-python`: for builds of the user's own (CUDA, Metal). One request at a time."""

import json
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from legion_core.kernel.clock import SystemClock
from legion_core.workers.engines.base import (
    EMBED_BATCH_MAX,
    PREFILL_BATCH,
    Emit,
    EngineError,
    IsCancelled,
    Loaded,
    Sampling,
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
    Load,
    Message,
    Progress,
    StopReason,
    Token,
    ToolCallPart,
)

Json = dict[str, Any]  # the library's wire, this file only

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class _CancelledError(Exception):
    pass


class LlamaCppPythonEngine:
    """See `Engine`. The template is rendered here and the text generated from tokens, so that a prefix can be continued."""

    name = "llama-cpp-python"

    def __init__(self) -> None:
        self._llama: Any = None
        self._format: Any = None
        self._is_cancelled: IsCancelled = lambda: False
        self._on_batch: Callable[[], None] = lambda: None
        self._clock = SystemClock()

    def load(self, load: Load) -> Loaded:
        """See `Engine`."""
        llama_cpp: Any = import_module("llama_cpp")

        threads = load.threads or max(1, (os.cpu_count() or 2) - 1)
        context = load.context_tokens or CONTEXT_TOKENS_AUTO_MAX
        poolings = {
            "model": (llama_cpp.LLAMA_POOLING_TYPE_UNSPECIFIED, llama_cpp.LLAMA_POOLING_TYPE_MEAN),
            "mean": (llama_cpp.LLAMA_POOLING_TYPE_MEAN,),
            "cls": (llama_cpp.LLAMA_POOLING_TYPE_CLS,),
            "last": (llama_cpp.LLAMA_POOLING_TYPE_LAST,),
        }[load.pooling]
        for kind in poolings if load.is_embedding else poolings[:1]:
            self._open(llama_cpp, load, context, threads, kind)
            if not load.is_embedding or int(self._llama.pooling_type()) != llama_cpp.LLAMA_POOLING_TYPE_NONE:
                break
        self._format = _formatter(self._llama)
        self._watch_batches()
        trained = int(self._llama.metadata.get(_context_key(self._llama.metadata), 0))
        held = int(self._llama.n_ctx())
        return Loaded(
            version=str(llama_cpp.__version__),
            context_tokens=min(held, trained) if trained else held,
            slots=1,
            threads=threads,
        )

    def _open(self, llama_cpp: Any, load: Load, context: int, threads: int, pooling: int) -> None:
        if self._llama is not None:
            self._llama.close()
        batch = min(context, EMBED_BATCH_MAX) if load.is_embedding else PREFILL_BATCH
        try:
            self._llama = llama_cpp.Llama(
                load.model_path,
                n_ctx=context,
                n_threads=threads,
                n_threads_batch=threads,
                n_gpu_layers=load.gpu_layers,
                n_batch=batch,
                n_ubatch=batch,
                embedding=load.is_embedding,
                pooling_type=pooling,
                verbose=False,
            )
        except (ValueError, RuntimeError, AssertionError) as error:
            raise EngineError("load_failed", f"The engine refuses the file: {error}") from error

    def _watch_batches(self) -> None:
        # The library looks at no flag while it computes a prompt; each batch goes through this one method.
        inner: Callable[[Any], None] = self._llama._ctx.decode  # noqa: SLF001 - no public hook in 0.3.36

        def decode(batch: Any) -> None:
            if self._is_cancelled():
                raise _CancelledError
            inner(batch)
            self._on_batch()

        self._llama._ctx.decode = decode  # noqa: SLF001

    def chat(self, chat: Chat, emit: Emit, is_cancelled: IsCancelled) -> Done:
        """See `Engine`."""
        check_chat(chat)
        if chat.params.output_tokens_max == 0:
            return Done(id=chat.id, stop_reason="length")
        forced = forced_tool(chat)
        messages = with_instruction(chat.messages, forced.instruction) if forced else chat.messages
        prompt = self._prompt(chat, messages)
        room = int(self._llama.n_ctx()) - len(prompt)
        if room < 1:
            limit = int(self._llama.n_ctx())
            raise EngineError(
                "context_too_long",
                f"The prompt has {len(prompt)} tokens, the context {limit}.",
                limit=limit,
                asked=len(prompt),
            )
        schema = forced.schema if forced else chat.json_schema or None
        cached = min(
            int(self._llama.longest_token_prefix(self._llama.input_ids[: self._llama.n_tokens], prompt)),
            len(prompt) - 1,
        )
        self._is_cancelled = is_cancelled
        self._on_batch = self._reporter(chat.id, len(prompt), cached, emit)
        begun_s = first_s = self._clock.monotonic_s()
        held: list[str] = []
        count = 0
        finish: str | None = None
        was_cancelled = False
        try:
            for text, reason_given in self._pieces(prompt, sampling(chat.params), room, schema):
                finish = reason_given or finish
                if is_cancelled():
                    raise _CancelledError
                if not count:
                    first_s = self._clock.monotonic_s()
                if text:
                    count += 1
                    held.append(text) if forced else emit(Token(id=chat.id, text=text))
        except _CancelledError:
            was_cancelled = True
        finally:
            self._is_cancelled = lambda: False
            self._on_batch = lambda: None
        reason: StopReason = "cancelled" if was_cancelled else stop_reason(finish)
        if forced and reason == "stop":
            name, arguments = forced.call("".join(held))
            emit(ToolCallPart(id=chat.id, index=0, call_id="call_0", name=name, arguments=arguments))
            reason = "tool_calls"
        ended_s = self._clock.monotonic_s()
        return Done(
            id=chat.id,
            stop_reason=reason,
            prompt_tokens=len(prompt),
            output_tokens=count,
            cached_tokens=cached,
            prompt_ms=(first_s - begun_s) * 1000,
            decode_ms=(ended_s - first_s) * 1000,
        )

    def _reporter(self, id_: int, total: int, cached: int, emit: Emit) -> Callable[[], None]:
        done = cached

        def report() -> None:
            nonlocal done
            if done < total:
                done = min(done + PREFILL_BATCH, total)
                emit(Progress(id=id_, tokens_done=done, tokens_total=total))

        return report

    def _prompt(self, chat: Chat, messages: tuple[Message, ...]) -> list[int]:
        if chat.is_raw:
            return list(self._llama.tokenize(messages[0].content.encode(), add_bos=True, special=True))
        given = messages[:-1] if chat.continue_final else messages
        tools = None
        if chat.tools and chat.tool_choice == "auto":
            tools = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": json.loads(tool.parameters),
                    },
                }
                for tool in chat.tools
            ]
        try:
            rendered: str = self._format(
                messages=[_message(message) for message in given], tools=tools
            ).prompt
        except Exception as error:
            raise EngineError("invalid_input", f"The model's chat template refuses this: {error}") from error
        if chat.continue_final:
            rendered += messages[-1].content
        return list(self._llama.tokenize(rendered.encode(), add_bos=False, special=True))

    def _pieces(
        self, prompt: list[int], chosen: Sampling, room: int, schema: str | None
    ) -> Iterator[tuple[str, str | None]]:
        llama_cpp: Any = import_module("llama_cpp")
        try:
            grammar = (
                llama_cpp.LlamaGrammar.from_json_schema(schema, verbose=False) if schema is not None else None
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EngineError("invalid_input", f"The JSON schema cannot be used: {error}") from error
        chunks: Iterator[Json] = self._llama.create_completion(
            prompt,
            max_tokens=room if chosen.tokens_max is None else min(chosen.tokens_max, room),
            temperature=chosen.temperature,
            top_p=chosen.top_p,
            top_k=chosen.top_k,
            min_p=chosen.min_p,
            repeat_penalty=chosen.repeat_penalty,
            frequency_penalty=chosen.frequency_penalty,
            presence_penalty=chosen.presence_penalty,
            seed=chosen.seed,
            stop=list(chosen.stop),
            grammar=grammar,
            stream=True,
        )
        for chunk in chunks:
            choice: Json = chunk["choices"][0]
            yield str(choice.get("text") or ""), choice.get("finish_reason")

    def embed(self, embed: Embed) -> Embedded:
        """See `Engine`."""
        if not embed.texts or not all(embed.texts):
            raise EngineError("invalid_input", "An empty text cannot be embedded.")
        limit = int(self._llama.n_batch)
        tokens = 0
        for text in embed.texts:
            asked = len(self._llama.tokenize(text.encode()))
            if asked > limit:
                raise EngineError(
                    "context_too_long",
                    f"A text of {asked} tokens is too long to embed.",
                    limit=limit,
                    asked=asked,
                )
            tokens += asked
        vectors: list[list[float]] = self._llama.embed(list(embed.texts), normalize=True)
        return Embedded(id=embed.id, vectors=tuple(tuple(v) for v in vectors), prompt_tokens=tokens)


def _context_key(metadata: dict[str, str]) -> str:
    return f"{metadata.get('general.architecture', '')}.context_length"


def _formatter(llama: Any) -> Any:
    chat_format: Any = import_module("llama_cpp.llama_chat_format")

    def text_of(token: int) -> str:
        return llama._model.token_get_text(token) if token >= 0 else ""  # noqa: SLF001 - no public way

    return chat_format.Jinja2ChatFormatter(
        template=llama.metadata.get("tokenizer.chat_template", CHATML),
        eos_token=text_of(llama.token_eos()),
        bos_token=text_of(llama.token_bos()),
        add_generation_prompt=True,
    )


def _message(message: Message) -> Json:
    made: Json = {"role": message.role, "content": message.content}
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    return made
