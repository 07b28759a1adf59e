"""The official libraries behind one face: what is asked in one form, what was heard in one form.

Each class asks its own library in that library's own words and gives back what the library understood, never what was
on the wire.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import anthropic
import ollama
import openai
import pydantic
from google import genai
from google.genai import errors, types

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PAPER = "JVBERi0xLjQKPDwvVHlwZS9QYWdlPj4="
ZONE: Any = {"type": "object", "properties": {"zone": {"type": "string"}}}
Calls = list[tuple[str, Any]]


class City(pydantic.BaseModel):
    city: str


@dataclass
class Ask:
    """One question; `results` answers the calls `made` before."""

    tools: bool = False
    picture: bool = False
    paper: bool = False
    schema: bool = False
    thinks: bool = False
    stop: str = ""
    made: tuple[tuple[str, str], ...] = ()  # id and zone of earlier calls of `clock`
    results: tuple[str, ...] = ()


@dataclass
class Heard:
    """What the library made of the answer. Counts are None where the library has no place for them."""

    text: str
    stop: str
    calls: Calls
    thinking: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int | None = None
    parsed: Any = None


@dataclass
class Library:
    """One library in one dialect, its methods by name; `None` where the dialect has nothing of the kind."""

    whole: Callable[[Ask], Heard]
    streamed: Callable[[Ask], Heard]
    models: Callable[[], list[str]]
    model: Callable[[str], str]
    status: Callable[[Callable[[], Any]], int]  # the HTTP status of the exception that asking raises
    embed: Callable[[list[str]], list[list[float]]] | None
    count: Callable[[str], int] | None
    ask_model: Callable[[str], Any]  # a question to a model of that name
    ask_wrongly: Callable[[], Any]
    close: Callable[[], Any]


def chat(url: str, token: str) -> Library:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)

    def body(ask: Ask) -> dict[str, Any]:
        shown: Any = [{"type": "text", "text": "Hi"}]
        if ask.picture:
            shown.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}})
        if ask.paper:
            file = {"file_data": f"data:application/pdf;base64,{PAPER}", "filename": "a.pdf"}
            shown.append({"type": "file", "file": file})
        messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": shown}]
        if ask.made:
            calls = [
                {
                    "id": name,
                    "type": "function",
                    "function": {"name": "clock", "arguments": json.dumps({"zone": zone})},
                }
                for name, zone in ask.made
            ]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            messages += [
                {"role": "tool", "tool_call_id": name, "content": told}
                for (name, _), told in zip(ask.made, ask.results, strict=True)
            ]
        told: dict[str, Any] = {"model": "m2", "messages": messages}
        if ask.tools:
            told["tools"] = [
                {
                    "type": "function",
                    "function": {"name": "clock", "description": "The time", "parameters": ZONE},
                }
            ]
        if ask.thinks:
            told["reasoning_effort"] = "low"
        if ask.stop:
            told["stop"] = [ask.stop]
        return told

    def heard(message: Any, stop: str, usage: Any) -> Heard:
        return Heard(
            message.content or "",
            stop,
            [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()],
            getattr(message, "reasoning_content", None) or "",
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.prompt_tokens_details.cached_tokens,
            getattr(message, "parsed", None),
        )

    def whole(ask: Ask) -> Heard:
        if ask.schema:
            parsed = client.chat.completions.parse(**body(ask), response_format=City)
            return heard(parsed.choices[0].message, parsed.choices[0].finish_reason, parsed.usage)
        answer = client.chat.completions.create(**body(ask))
        return heard(answer.choices[0].message, answer.choices[0].finish_reason, answer.usage)

    def streamed(ask: Ask) -> Heard:
        shape: dict[str, Any] = {"response_format": City} if ask.schema else {}
        thought = ""
        with client.chat.completions.stream(
            **body(ask), **shape, stream_options={"include_usage": True}
        ) as stream:
            for event in stream:
                if event.type == "chunk" and event.chunk.choices:
                    thought += getattr(event.chunk.choices[0].delta, "reasoning_content", None) or ""
            final = stream.get_final_completion()
        out = heard(final.choices[0].message, final.choices[0].finish_reason, final.usage)
        out.thinking = thought
        return out

    return Library(
        whole,
        streamed,
        lambda: [model.id for model in client.models.list()],
        lambda name: client.models.retrieve(name).id,
        _status(openai.APIStatusError, "status_code"),
        lambda texts: [row.embedding for row in client.embeddings.create(model="e1", input=texts).data],
        None,
        lambda name: client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}]),
        lambda: client.chat.completions.create(model="m2", messages=[]),
        client.close,
    )


def responses(url: str, token: str) -> Library:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)

    def body(ask: Ask) -> dict[str, Any]:
        shown: Any = [{"type": "input_text", "text": "Hi"}]
        if ask.picture:
            shown.append({"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"})
        if ask.paper:
            data = f"data:application/pdf;base64,{PAPER}"
            shown.append({"type": "input_file", "filename": "a.pdf", "file_data": data})
        items: list[Any] = [{"role": "user", "content": shown}]
        for name, zone in ask.made:
            arguments = json.dumps({"zone": zone})
            items.append({"type": "function_call", "call_id": name, "name": "clock", "arguments": arguments})
        for (name, _), told in zip(ask.made, ask.results, strict=True):
            items.append({"type": "function_call_output", "call_id": name, "output": told})
        out: dict[str, Any] = {"model": "m2", "input": items, "instructions": "Be brief.", "store": False}
        if ask.tools:
            out["tools"] = [
                {
                    "type": "function",
                    "name": "clock",
                    "description": "The time",
                    "parameters": ZONE,
                    "strict": False,
                }
            ]
        if ask.thinks:
            out["reasoning"] = {"effort": "low", "summary": "auto"}
        return out

    def heard(answer: Any) -> Heard:
        reason = answer.incomplete_details.reason if answer.incomplete_details else answer.status
        return Heard(
            answer.output_text,
            reason,
            [
                (item.name, json.loads(item.arguments))
                for item in answer.output
                if item.type == "function_call"
            ],
            "".join(part.text for item in answer.output if item.type == "reasoning" for part in item.summary),
            answer.usage.input_tokens,
            answer.usage.output_tokens,
            answer.usage.input_tokens_details.cached_tokens,
            getattr(answer, "output_parsed", None),
        )

    def whole(ask: Ask) -> Heard:
        if ask.schema:
            return heard(client.responses.parse(**body(ask), text_format=City))
        return heard(client.responses.create(**body(ask)))

    def streamed(ask: Ask) -> Heard:
        shape: dict[str, Any] = {"text_format": City} if ask.schema else {}
        with client.responses.stream(**body(ask), **shape) as stream:
            return heard(stream.get_final_response())

    return Library(
        whole,
        streamed,
        lambda: [model.id for model in client.models.list()],
        lambda name: client.models.retrieve(name).id,
        _status(openai.APIStatusError, "status_code"),
        None,
        lambda text: client.responses.input_tokens.count(model="m2", input=text).input_tokens,
        lambda name: client.responses.create(model=name, input="Hi"),
        lambda: client.responses.create(model="m2", input=[]),
        client.close,
    )


def messages(url: str, token: str) -> Library:
    client = anthropic.Anthropic(base_url=url, api_key=token, max_retries=0)

    def body(ask: Ask) -> dict[str, Any]:
        shown: Any = [{"type": "text", "text": "Hi"}]
        if ask.picture:
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
            shown.append({"type": "image", "source": source})
        if ask.paper:
            source = {"type": "base64", "media_type": "application/pdf", "data": PAPER}
            shown.append({"type": "document", "source": source, "title": "a.pdf"})
        turns: list[Any] = [{"role": "user", "content": shown}]
        if ask.made:
            calls = [
                {"type": "tool_use", "id": name, "name": "clock", "input": {"zone": zone}}
                for name, zone in ask.made
            ]
            told = [
                {"type": "tool_result", "tool_use_id": name, "content": said}
                for (name, _), said in zip(ask.made, ask.results, strict=True)
            ]
            turns += [{"role": "assistant", "content": calls}, {"role": "user", "content": told}]
        out: dict[str, Any] = {"model": "m2", "max_tokens": 4096, "system": "Be brief.", "messages": turns}
        if ask.tools:
            out["tools"] = [{"name": "clock", "description": "The time", "input_schema": ZONE}]
        if ask.thinks:
            out["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if ask.stop:
            out["stop_sequences"] = [ask.stop]
        if ask.schema:
            schema = {**City.model_json_schema(), "additionalProperties": False}
            out["extra_body"] = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        return out

    def heard(answer: Any, ask: Ask) -> Heard:
        text = "".join(block.text for block in answer.content if block.type == "text")
        return Heard(
            text,
            answer.stop_reason,
            [(block.name, block.input) for block in answer.content if block.type == "tool_use"],
            "".join(block.thinking for block in answer.content if block.type == "thinking"),
            answer.usage.input_tokens,
            answer.usage.output_tokens,
            answer.usage.cache_read_input_tokens,
            City.model_validate_json(text) if ask.schema else None,
        )

    def streamed(ask: Ask) -> Heard:
        with client.messages.stream(**body(ask)) as stream:
            return heard(stream.get_final_message(), ask)

    hello: Any = [{"role": "user", "content": "Hi"}]
    return Library(
        lambda ask: heard(client.messages.create(**body(ask)), ask),
        streamed,
        lambda: [model.id for model in client.models.list()],
        lambda name: client.models.retrieve(name).id,
        _status(anthropic.APIStatusError, "status_code"),
        None,
        lambda text: (
            client.messages.count_tokens(
                model="m2", messages=[{"role": "user", "content": text}]
            ).input_tokens
        ),
        lambda name: client.messages.create(model=name, max_tokens=9, messages=hello),
        lambda: client.messages.create(model="m2", max_tokens=0, messages=hello),
        client.close,
    )


def ollama_chat(url: str, token: str) -> Library:
    client = ollama.Client(host=url, headers={"Authorization": f"Bearer {token}"})
    tool: Any = {
        "type": "function",
        "function": {"name": "clock", "description": "The time", "parameters": ZONE},
    }

    def body(ask: Ask) -> dict[str, Any]:
        user: dict[str, Any] = {"role": "user", "content": "Hi"} | (
            {"images": [PIXEL]} if ask.picture else {}
        )
        turns: list[Any] = [{"role": "system", "content": "Be brief."}, user]
        if ask.made:
            calls = [{"function": {"name": "clock", "arguments": {"zone": zone}}} for _, zone in ask.made]
            turns.append({"role": "assistant", "content": "", "tool_calls": calls})
            turns += [{"role": "tool", "tool_name": "clock", "content": told} for told in ask.results]
        return {
            "model": "m2",
            "messages": turns,
            "tools": [tool] if ask.tools else None,
            "think": True if ask.thinks else None,
            "format": City.model_json_schema() if ask.schema else None,
        }

    def heard(parts: Iterable[Any], ask: Ask) -> Heard:
        gathered = list(parts)
        last = gathered[-1]
        text = "".join(part.message.content or "" for part in gathered)
        return Heard(
            text,
            last.done_reason,
            [
                (call.function.name, dict(call.function.arguments))
                for part in gathered
                for call in part.message.tool_calls or ()
            ],
            "".join(part.message.thinking or "" for part in gathered),
            last.prompt_eval_count,
            last.eval_count,
            None,
            City.model_validate_json(text) if ask.schema else None,
        )

    return Library(
        lambda ask: heard([client.chat(**body(ask))], ask),
        lambda ask: heard(client.chat(**body(ask), stream=True), ask),
        lambda: [model.model or "" for model in client.list().models],
        lambda name: name if client.show(name).capabilities else "",
        _status(ollama.ResponseError, "status_code"),
        lambda texts: [list(row) for row in client.embed(model="e1", input=texts).embeddings],
        None,
        lambda name: client.chat(model=name, messages=[{"role": "user", "content": "Hi"}]),
        lambda: client.generate(model="m2", prompt="x", suffix="y"),
        client.close,
    )


def gemini(url: str, token: str) -> Library:
    client = genai.Client(api_key=token, http_options=types.HttpOptions(base_url=url))
    tool = types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name="clock", description="The time", parameters_json_schema=ZONE)
        ]
    )

    def body(ask: Ask) -> dict[str, Any]:
        parts: list[Any] = [{"text": "Hi"}]
        if ask.picture:
            parts.append({"inline_data": {"mime_type": "image/png", "data": PIXEL}})
        if ask.paper:
            parts.append({"inline_data": {"mime_type": "application/pdf", "data": PAPER}})
        contents: list[Any] = [{"role": "user", "parts": parts}]
        if ask.made:
            calls = [
                {"function_call": {"id": name, "name": "clock", "args": {"zone": zone}}}
                for name, zone in ask.made
            ]
            told = [
                {"function_response": {"id": name, "name": "clock", "response": {"output": said}}}
                for (name, _), said in zip(ask.made, ask.results, strict=True)
            ]
            contents += [{"role": "model", "parts": calls}, {"role": "user", "parts": told}]
        thoughts = types.ThinkingConfig(thinking_budget=1024, include_thoughts=True)
        config = types.GenerateContentConfig(
            system_instruction="Be brief.",
            tools=[tool] if ask.tools else None,
            thinking_config=thoughts if ask.thinks else None,
            response_mime_type="application/json" if ask.schema else None,
            response_schema=City if ask.schema else None,
            stop_sequences=[ask.stop] if ask.stop else None,
        )
        return {"model": "m2", "contents": contents, "config": config}

    def heard(chunks: Iterable[Any]) -> Heard:
        gathered = list(chunks)
        parts = [
            part
            for chunk in gathered
            if chunk.candidates and chunk.candidates[0].content
            for part in chunk.candidates[0].content.parts or ()
        ]
        last = gathered[-1]
        text = "".join(part.text or "" for part in parts if not part.thought)
        usage = last.usage_metadata
        return Heard(
            text,
            last.candidates[0].finish_reason.name,
            [(part.function_call.name, part.function_call.args) for part in parts if part.function_call],
            "".join(part.text or "" for part in parts if part.thought),
            usage.prompt_token_count,
            usage.candidates_token_count + (usage.thoughts_token_count or 0),
            usage.cached_content_token_count,
            last.parsed if len(gathered) == 1 else None,
        )

    def streamed(ask: Ask) -> Heard:
        out = heard(client.models.generate_content_stream(**body(ask)))
        out.parsed = City.model_validate_json(out.text) if ask.schema else None
        return out

    return Library(
        lambda ask: heard([client.models.generate_content(**body(ask))]),
        streamed,
        lambda: [(model.name or "").removeprefix("models/") for model in client.models.list()],
        lambda name: (client.models.get(model=name).name or "").removeprefix("models/"),
        _status(errors.APIError, "code"),
        lambda texts: [
            list(row.values or ())
            for row in client.models.embed_content(model="e1", contents=texts).embeddings or ()  # type: ignore[arg-type]
        ],
        lambda text: client.models.count_tokens(model="m2", contents=text).total_tokens or 0,
        lambda name: client.models.generate_content(model=name, contents="Hi"),
        lambda: client.models.generate_content(
            model="m2", contents="Hi", config=types.GenerateContentConfig(candidate_count=3)
        ),
        client.close,
    )


def _status(kind: type[Exception], name: str) -> Callable[[Callable[[], Any]], int]:
    def status(ask: Callable[[], Any]) -> int:
        try:
            ask()
        except kind as error:
            return int(getattr(error, name)) if str(error) else 0  # an error without words is no error
        return 200

    return status


LIBRARIES: dict[str, Callable[[str, str], Library]] = {
    "openai chat": chat,
    "openai responses": responses,
    "anthropic messages": messages,
    "ollama chat": ollama_chat,
    "google-genai": gemini,
}
