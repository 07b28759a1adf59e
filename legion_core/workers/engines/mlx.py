"""MLX, Apple's library, through `mlx-lm`: folders of safetensors, on the GPU of a Mac or on any CPU. One request at a time.

The beginning of a conversation that was computed for the last request is not computed again. Schemas are obeyed by
`llguidance`, where that is installed.
"""

import json
import os
from collections.abc import Callable, Generator
from importlib import import_module
from typing import Any, cast

from legion_core.kernel.clock import SystemClock
from legion_core.workers.engines.base import (
    PREFILL_BATCH,
    Emit,
    EngineError,
    ForcedTool,
    IsCancelled,
    Loaded,
    Sampling,
    check_chat,
    forced_tool,
    sampling,
    stop_reason,
    with_instruction,
)
from legion_core.workers.engines.mlx_text import Marks, Splitter
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
Processor = Callable[[Any, Any], Any]
GPU_BATCH = 512


class _CancelledError(Exception):
    pass


class MlxEngine:
    """See `Engine`. The template is rendered here, so that a prefix can be continued."""

    name = "mlx"

    def __init__(self) -> None:
        self._mx: Any = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._grammar_words: Any = (
            None  # the vocabulary as the grammar library wants it; made when first asked for
        )
        self._context = 0
        self._batch = PREFILL_BATCH
        self._memory = _Memory()
        self._clock = SystemClock()

    def load(self, load: Load) -> Loaded:
        """See `Engine`."""
        # Nothing is fetched here: a model is a folder, and what is missing in it is an error.
        os.environ["HF_HUB_OFFLINE"] = "1"
        mlx_lm: Any = import_module("mlx_lm")
        self._mx = import_module("mlx.core")
        try:
            self._model, self._tokenizer, config = mlx_lm.load(load.model_path, return_config=True)
        except (ValueError, OSError, KeyError, TypeError, RuntimeError) as error:
            raise EngineError("load_failed", f"The engine refuses the folder: {error}") from error
        asked = load.context_tokens or CONTEXT_TOKENS_AUTO_MAX
        trained = int(config.get("max_position_embeddings") or asked)
        self._context = min(asked, trained)
        is_gpu = self._mx.default_device() == self._mx.Device(self._mx.gpu)
        self._batch = GPU_BATCH if is_gpu else PREFILL_BATCH
        if not is_gpu:
            # A CPU has no arithmetic of half precision: whole floats take twice the room and a fraction of the time.
            self._model.set_dtype(self._mx.float32)
            self._mx.eval(self._model.parameters())
        return Loaded(
            version=str(import_module("mlx_lm._version").__version__),
            context_tokens=self._context,
            slots=1,
            threads=os.cpu_count() or 1,
        )

    def chat(self, chat: Chat, emit: Emit, is_cancelled: IsCancelled) -> Done:
        """See `Engine`."""
        check_chat(chat)
        if chat.params.output_tokens_max == 0:
            return Done(id=chat.id, stop_reason="length")
        forced = forced_tool(chat)
        messages = with_instruction(chat.messages, forced.instruction) if forced else chat.messages
        prompt = self._prompt(chat, messages)
        room = self._context - len(prompt)
        if room < 1:
            raise EngineError(
                "context_too_long",
                f"The prompt has {len(prompt)} tokens, the context {self._context}.",
                limit=self._context,
                asked=len(prompt),
            )
        schema = forced.schema if forced else chat.json_schema or None
        turn = _Turn(chat, emit, forced, self._splitter(chat, prompt), self._tokenizer)
        return self._answer(chat, prompt, room, schema, turn, is_cancelled)

    def _answer(
        self,
        chat: Chat,
        prompt: list[int],
        room: int,
        schema: str | None,
        turn: "_Turn",
        is_cancelled: IsCancelled,
    ) -> Done:
        chosen = sampling(chat.params)
        cache, cached = self._memory.take(self._model, prompt)
        begun_s = first_s = self._clock.monotonic_s()
        count, finish, was_cancelled = 0, "stop", False
        made: list[int] = []

        def report(done: int, total: int) -> None:
            if is_cancelled():
                raise _CancelledError
            turn.progress(cached + done, cached + total)

        pieces = self._pieces(prompt[cached:], cache, chosen, room, schema, report)
        try:
            for text, token, reason in pieces:
                if is_cancelled():
                    raise _CancelledError
                if not made:
                    first_s = self._clock.monotonic_s()
                made.append(token)
                count += reason != "stop"  # the last word of all is no part of the answer
                finish = reason or finish
                turn.take(text)
                if turn.is_stopped:
                    finish = "stop"
                    break
        except _CancelledError:
            was_cancelled = True
        finally:
            pieces.close()
            self._memory.keep(cache, [*prompt, *made])
        reason = turn.end(finish, was_cancelled=was_cancelled)
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

    def _prompt(self, chat: Chat, messages: tuple[Message, ...]) -> list[int]:
        if chat.is_raw:
            raise EngineError("unsupported", "This engine goes on with no text outside of a chat.")
        tools = [_tool(tool) for tool in chat.tools] if chat.tool_choice == "auto" else None
        given = messages[:-1] if chat.continue_final else messages
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                [_message(message) for message in given],
                tools=tools or None,
                add_generation_prompt=True,
                tokenize=False,
            )
        except Exception as error:
            raise EngineError("invalid_input", f"The model's chat template refuses this: {error}") from error
        if chat.continue_final:
            # A template that opens a thought would have the rest of an answer thought, not said.
            opening = str(self._tokenizer.think_start or "")
            if opening and rendered.rstrip().endswith(opening):
                rendered = rendered.rstrip().removesuffix(opening)
            rendered += messages[-1].content
        return list(self._tokenizer.encode(rendered, add_special_tokens=False))

    def _splitter(self, chat: Chat, prompt: list[int]) -> Splitter:
        tokenizer = self._tokenizer
        has_calls = bool(tokenizer.has_tool_calling and chat.tools and chat.tool_choice == "auto")
        marks = Marks(
            think_start=str(tokenizer.think_start or ""),
            think_end=str(tokenizer.think_end or ""),
            call_start=str(tokenizer.tool_call_start or "") if has_calls else "",
            call_end=str(tokenizer.tool_call_end or "") if has_calls else "",
            stop=sampling(chat.params).stop,
        )
        tail = str(tokenizer.decode(prompt[-8:])) if marks.think_start and not chat.continue_final else ""
        return Splitter(marks, is_thinking=bool(tail) and tail.rstrip().endswith(marks.think_start))

    def _pieces(
        self,
        prompt: list[int],
        cache: Any,
        chosen: Sampling,
        room: int,
        schema: str | None,
        report: Callable[[int, int], None],
    ) -> Generator[tuple[str, int, str], None, None]:
        """Text, token and finish reason (empty until the last) of each step."""
        generate: Any = import_module("mlx_lm.generate")
        sample: Any = import_module("mlx_lm.sample_utils")
        if chosen.seed is not None:
            self._mx.random.seed(chosen.seed & 0xFFFFFFFF)
        words = len(self._tokenizer.vocab)
        processors: list[Processor] = sample.make_logits_processors(
            repetition_penalty=chosen.repeat_penalty if chosen.repeat_penalty not in (0.0, 1.0) else None,
            presence_penalty=chosen.presence_penalty or None,
            frequency_penalty=chosen.frequency_penalty or None,
        )
        if schema is not None:
            processors = [*processors, self._grammar(schema)]
        for step in generate.stream_generate(
            self._model,
            self._tokenizer,
            prompt,
            max_tokens=room if chosen.tokens_max is None else min(chosen.tokens_max, room),
            sampler=sample.make_sampler(
                temp=chosen.temperature,
                top_p=chosen.top_p,
                min_p=chosen.min_p,
                top_k=chosen.top_k if 0 < chosen.top_k < words else 0,
            ),
            logits_processors=processors,
            prompt_cache=cache,
            prefill_step_size=self._batch,
            prompt_progress_callback=report,
        ):
            yield str(step.text), int(step.token), str(step.finish_reason or "")

    def _grammar(self, schema: str) -> Processor:
        try:
            library: Any = import_module("llguidance")
            vocabulary: Any = import_module("llguidance.hf")
            masks: Any = import_module("llguidance.numpy")
            numpy: Any = import_module("numpy")
        except ImportError as error:
            raise EngineError("unsupported", "Schemas need `llguidance`, which is not installed.") from error
        if self._grammar_words is None:
            inner: Any = self._tokenizer._tokenizer  # noqa: SLF001 - the wrapper hides the one the library knows
            self._grammar_words = vocabulary.from_tokenizer(inner)
        try:
            matcher: Any = library.LLMatcher(
                self._grammar_words, library.LLMatcher.grammar_from_json_schema(schema)
            )
        except ValueError as error:
            raise EngineError("invalid_input", f"The JSON schema cannot be used: {error}") from error
        if trouble := matcher.get_error():
            raise EngineError("invalid_input", f"The JSON schema cannot be used: {trouble}")
        bits: Any = masks.allocate_token_bitmask(1, self._grammar_words.vocab_size)
        is_first = True
        mx = self._mx

        def allow(tokens: Any, logits: Any) -> Any:
            nonlocal is_first
            if not is_first:
                matcher.consume_token(int(tokens[-1].item()))
            is_first = False
            if matcher.is_stopped():
                return logits
            masks.fill_next_token_bitmask(matcher, bits, 0)
            allowed = numpy.zeros(logits.shape[-1], dtype=bool)
            told = numpy.unpackbits(bits.view(numpy.uint8)[0], bitorder="little")[: allowed.size]
            allowed[: told.size] = told
            return mx.where(mx.array(allowed), logits, mx.array(-float("inf"), dtype=logits.dtype))

        return allow

    def embed(self, embed: Embed) -> Embedded:
        """See `Engine`. The mean over a chat model's last states: these models state no pooling."""
        if not embed.texts or not all(embed.texts):
            raise EngineError("invalid_input", "An empty text cannot be embedded.")
        states: Any = getattr(self._model, "model", None)
        if states is None:
            raise EngineError("unsupported", "The model cannot make embeddings.")
        vectors: list[tuple[float, ...]] = []
        tokens = 0
        for text in embed.texts:
            ids: list[int] = list(self._tokenizer.encode(text))
            if len(ids) > self._context:
                raise EngineError(
                    "context_too_long",
                    f"A text of {len(ids)} tokens is too long to embed.",
                    limit=self._context,
                    asked=len(ids),
                )
            tokens += len(ids)
            mean = self._mx.mean(states(self._mx.array([ids]))[0].astype(self._mx.float32), axis=0)
            unit = mean / self._mx.maximum(self._mx.linalg.norm(mean), 1e-12)
            vectors.append(tuple(float(value) for value in unit.tolist()))
        return Embedded(id=embed.id, vectors=tuple(vectors), prompt_tokens=tokens)


class _Memory:
    """What the last request computed, for the next one that begins alike."""

    def __init__(self) -> None:
        self._cache: Any = None
        self._tokens: list[int] = []

    def take(self, model: Any, prompt: list[int]) -> tuple[Any, int]:
        """A cache to compute into, and how many of the prompt's tokens are in it already."""
        library: Any = import_module("mlx_lm.models.cache")
        cache, tokens = self._cache, self._tokens
        self._cache, self._tokens = None, []
        # The last token is always computed: what comes after it is what is asked for.
        same = _shared(tokens, prompt[:-1])
        if cache is not None and same and library.can_trim_prompt_cache(cache):
            library.trim_prompt_cache(cache, len(tokens) - same)
            return cache, same
        return library.make_prompt_cache(model), 0

    def keep(self, cache: Any, tokens: list[int]) -> None:
        """Remember what is in `cache`: a step may have been computed ahead, or the last ones not at all."""
        library: Any = import_module("mlx_lm.models.cache")
        sizes: set[int] = {int(getattr(layer, "offset", -1)) for layer in cache}
        if len(sizes) != 1 or (held := sizes.pop()) < 1 or not library.can_trim_prompt_cache(cache):
            return
        if held > len(tokens):
            library.trim_prompt_cache(cache, held - len(tokens))
        self._cache, self._tokens = cache, tokens[:held]


def _shared(one: list[int], other: list[int]) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


class _Turn:
    """Sends an answer's pieces on their way."""

    def __init__(
        self, chat: Chat, emit: Emit, forced: ForcedTool | None, splitter: Splitter, tokenizer: Any
    ) -> None:
        self._chat = chat
        self._emit = emit
        self._forced = forced
        self._forced_text: list[str] = []
        self._splitter = splitter
        self._tokenizer = tokenizer
        self._calls = 0

    @property
    def is_stopped(self) -> bool:
        """Whether a stop sequence came."""
        return self._splitter.is_stopped

    def progress(self, done: int, total: int) -> None:
        """Tell how much of the prompt is read."""
        self._emit(Progress(id=self._chat.id, tokens_done=done, tokens_total=total))

    def take(self, text: str) -> None:
        """Send what is certain by now."""
        if self._forced:
            self._forced_text.append(text)
            return
        for mode, piece in self._splitter.feed(text):
            self._send(mode, piece)

    def _send(self, mode: str, piece: str) -> None:
        if mode == "call":
            self._call(piece)
        else:
            channel = "thinking" if mode == "thinking" else "text"
            self._emit(Token(id=self._chat.id, text=piece, channel=channel))

    def _call(self, words: str) -> None:
        """One or several calls in the model's own words; what cannot be read is passed on as text."""
        try:
            found: Any = self._tokenizer.tool_parser(words, [_tool(tool) for tool in self._chat.tools])
            calls = cast("list[Json]", found if isinstance(found, list) else [found])
            told = [(str(call["name"]), json.dumps(call["arguments"], ensure_ascii=False)) for call in calls]
        except (ValueError, KeyError, TypeError, AttributeError, SyntaxError):
            self._emit(Token(id=self._chat.id, text=words))
            return
        for name, arguments in told:
            self._emit_call(name, arguments)

    def _emit_call(self, name: str, arguments: str) -> None:
        at = self._calls
        self._calls += 1
        self._emit(
            ToolCallPart(id=self._chat.id, index=at, call_id=f"call_{at}", name=name, arguments=arguments)
        )

    def end(self, finish: str, *, was_cancelled: bool) -> StopReason:
        """Send the rest; gives why it ended."""
        if was_cancelled:
            return "cancelled"
        if self._forced:
            if finish == "stop":
                self._emit_call(*self._forced.call("".join(self._forced_text)))
                return "tool_calls"
            return stop_reason(finish)
        for mode, piece in self._splitter.close():
            self._send(mode, piece)
        return "tool_calls" if self._calls and finish == "stop" else stop_reason(finish)


def _tool(tool: Any) -> Json:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": json.loads(tool.parameters),
        },
    }


def _message(message: Message) -> Json:
    made: Json = {"role": message.role, "content": message.content}
    if message.tool_calls:
        # These templates write the arguments themselves and want them as an object.
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    return made


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text
