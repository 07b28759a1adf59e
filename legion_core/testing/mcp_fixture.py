"""What the official MCP conformance suite expects a server to have: tools, resources and prompts with fixed names.

Added to a node by the suite's runner alone (`node.legion.mcp.service().extras`); a product never has them.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server.subscriptions import PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

from legion_core.surfaces.mcp.caller import Told, connection_of
from legion_core.surfaces.mcp.server import Ctx

if TYPE_CHECKING:
    from legion_core.surfaces.mcp.server import McpServer

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
MISSING_CAPABILITY = -32021
_NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
_NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
_OK = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}

Result = types.CallToolResult | types.InputRequiredResult
Work = Callable[[Ctx, types.CallToolRequestParams], Awaitable[Result]]

SCHEMA_2020 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


class ConformanceFixture:
    """See the module, and `surfaces.mcp.server.Extra`."""

    def __init__(self) -> None:
        self._server: McpServer | None = None
        self._work: dict[str, tuple[dict[str, Any], Work]] = {
            "test_simple_text": (_NO_ARGUMENTS, _fixed(_text("This is a simple text response for testing."))),
            "test_image_content": (_NO_ARGUMENTS, _fixed(_image())),
            "test_audio_content": (
                _NO_ARGUMENTS,
                _fixed(types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")),
            ),
            "test_embedded_resource": (
                _NO_ARGUMENTS,
                _fixed(
                    _embedded(
                        "test://embedded-resource", "text/plain", "This is an embedded resource content."
                    )
                ),
            ),
            "test_multiple_content_types": (
                _NO_ARGUMENTS,
                _fixed(
                    _text("Multiple content types test:"),
                    _image(),
                    _embedded(
                        "test://mixed-content-resource", "application/json", '{"test":"data","value":123}'
                    ),
                ),
            ),
            "test_error_handling": (_NO_ARGUMENTS, _failing),
            "test_tool_with_logging": (_NO_ARGUMENTS, self._logging),
            "test_logging_tool": (_NO_ARGUMENTS, self._logging),
            "test_tool_with_progress": (_NO_ARGUMENTS, _progress),
            "test_sampling": (
                {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
                _sampling,
            ),
            "test_elicitation": (
                {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
                _elicitation,
            ),
            "test_elicitation_sep1034_defaults": (_NO_ARGUMENTS, _eliciting(DEFAULTS)),
            "test_elicitation_sep1330_enums": (_NO_ARGUMENTS, _eliciting(ENUMS)),
            "test_streaming_elicitation": (_NO_ARGUMENTS, _ask_name),
            "test_missing_capability": (_NO_ARGUMENTS, _needs_sampling),
            "test_trigger_tool_change": (_NO_ARGUMENTS, self._changes(ToolsListChanged())),
            "test_trigger_prompt_change": (_NO_ARGUMENTS, self._changes(PromptsListChanged())),
            "test_custom_headers": (CUSTOM_HEADERS, _echo),
            "json_schema_2020_12_tool": (SCHEMA_2020, _echo),
            "test_input_required_result_elicitation": (_NO_ARGUMENTS, _ask_name),
            "test_input_required_result_sampling": (_NO_ARGUMENTS, _ask_sampling),
            "test_input_required_result_list_roots": (_NO_ARGUMENTS, _ask_roots),
            "test_input_required_result_request_state": (_NO_ARGUMENTS, _ask_with_state),
            "test_input_required_result_tampered_state": (_NO_ARGUMENTS, _ask_with_state),
            "test_input_required_result_multiple_inputs": (_NO_ARGUMENTS, _ask_all),
            "test_input_required_result_multi_round": (_NO_ARGUMENTS, _ask_twice),
            "test_input_required_result_capabilities": (_NO_ARGUMENTS, _ask_what_it_can),
        }
        self._tools = [
            types.Tool(name=name, description=f"For the conformance suite: {name}.", input_schema=schema)
            for name, (schema, _) in self._work.items()
        ]

    def bind(self, server: "McpServer") -> None:
        """The server it was added to."""
        self._server = server

    def tools(self) -> list[types.Tool]:
        """See `Extra`."""
        return self._tools

    async def call(self, ctx: Ctx, params: types.CallToolRequestParams) -> Result | None:
        """See `Extra`."""
        found = self._work.get(params.name)
        return await found[1](ctx, params) if found is not None else None

    def resources(self) -> tuple[list[types.Resource], list[types.ResourceTemplate]]:
        """See `Extra`."""
        return [
            types.Resource(uri="test://static-text", name="Static text", mime_type="text/plain"),
            types.Resource(uri="test://static-binary", name="Static picture", mime_type="image/png"),
            types.Resource(uri="test://watched-resource", name="Watched", mime_type="text/plain"),
        ], [
            types.ResourceTemplate(
                uri_template="test://template/{id}/data", name="Template", mime_type="application/json"
            )
        ]

    async def read(self, ctx: Ctx, uri: str) -> types.ReadResourceResult | None:
        """See `Extra`."""
        content: types.TextResourceContents | types.BlobResourceContents
        if uri == "test://static-text":
            text = "This is the content of the static text resource."
            content = types.TextResourceContents(uri=uri, mime_type="text/plain", text=text)
        elif uri == "test://watched-resource":
            content = types.TextResourceContents(
                uri=uri, mime_type="text/plain", text="Watched resource content"
            )
        elif uri == "test://static-binary":
            content = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
        elif uri.startswith("test://template/") and uri.endswith("/data"):
            word = uri.removeprefix("test://template/").removesuffix("/data")
            text = json.dumps({"id": word, "templateTest": True, "data": f"Data for ID: {word}"})
            content = types.TextResourceContents(uri=uri, mime_type="application/json", text=text)
        else:
            return None
        return types.ReadResourceResult(contents=[content])

    def prompts(self) -> list[types.Prompt]:
        """See `Extra`."""
        return [
            types.Prompt(
                name=name,
                description=f"For the conformance suite: {name}.",
                arguments=[types.PromptArgument(name=each, required=True) for each in arguments],
            )
            for name, arguments in _PROMPTS.items()
        ]

    async def prompt(
        self, ctx: Ctx, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult | None:
        """See `Extra`."""
        given = params.arguments or {}
        match params.name:
            case "test_simple_prompt":
                return _prompt(_text("This is a simple prompt for testing."))
            case "test_prompt_with_arguments":
                words = f"arg1='{given.get('arg1', '')}', arg2='{given.get('arg2', '')}'"
                return _prompt(_text(f"Prompt with arguments: {words}"))
            case "test_prompt_with_embedded_resource":
                uri = given.get("resourceUri", "test://example-resource")
                return _prompt(
                    _embedded(uri, "text/plain", "Embedded resource content for testing."),
                    _text("Please process the embedded resource above."),
                )
            case "test_prompt_with_image":
                return _prompt(_image(), _text("Please analyze the image above."))
            case "test_input_required_result_prompt":
                answers = params.input_responses or {}
                if not isinstance(answers.get("user_context"), types.ElicitResult):
                    schema = {
                        "type": "object",
                        "properties": {"context": {"type": "string"}},
                        "required": ["context"],
                    }
                    return _ask(user_context=_form("What context should the prompt use?", schema))
                return _prompt(_text("A prompt in the context that was given."))
            case _:
                return None

    async def _logging(self, ctx: Ctx, params: types.CallToolRequestParams) -> Result:
        assert self._server is not None
        told = Told(ctx, self._server.sessions)
        for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await told.log("info", words)
            await asyncio.sleep(0.05)
        return _result(_text("Tool with logging executed successfully"))

    def _changes(self, event: Any) -> Work:
        async def change(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
            assert self._server is not None
            await self._server.publish(event)
            return _result(_text("It is changed."))

        return change


_PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
CUSTOM_HEADERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "priority": {"type": "integer", "x-mcp-header": "Priority"},
        "verbose": {"type": "boolean", "x-mcp-header": "Verbose"},
        "query": {"type": "string"},
    },
}
DEFAULTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
    "required": [],
}
ENUMS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {
            "type": "string",
            "oneOf": [
                {"const": "value1", "title": "First Option"},
                {"const": "value2", "title": "Second Option"},
            ],
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "items": {"type": "string", "enum": ["option1", "option2", "option3"]},
        },
        "titledMulti": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"const": "value1", "title": "First Choice"},
                    {"const": "value2", "title": "Second Choice"},
                ]
            },
        },
    },
    "required": [],
}


def _text(words: str) -> types.TextContent:
    return types.TextContent(type="text", text=words)


def _image() -> types.ImageContent:
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


def _embedded(uri: str, media_type: str, text: str) -> types.EmbeddedResource:
    content = types.TextResourceContents(uri=uri, mime_type=media_type, text=text)
    return types.EmbeddedResource(type="resource", resource=content)


def _result(*content: types.ContentBlock, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=list(content), is_error=is_error)


def _prompt(*content: types.ContentBlock) -> types.GetPromptResult:
    return types.GetPromptResult(
        messages=[types.PromptMessage(role="user", content=each) for each in content]
    )


def _fixed(*content: types.ContentBlock) -> Work:
    async def work(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
        return _result(*content)

    return work


async def _failing(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    return _result(_text("This tool intentionally returns an error for testing"), is_error=True)


async def _echo(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    return _result(_text(json.dumps(params.arguments or {})))


async def _progress(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    for done in (0.0, 50.0, 100.0):
        await ctx.session.report_progress(done, 100.0, f"Completed step {done:.0f} of 100")
        await asyncio.sleep(0.05)
    return _result(_text("Progress was reported."))


async def _sampling(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    asked = types.CreateMessageRequest(params=_question(str((params.arguments or {}).get("prompt", "")), 100))
    answer = await ctx.session.send_request(
        asked, types.CreateMessageResult, metadata=ServerMessageMetadata(related_request_id=ctx.request_id)
    )
    said = (
        answer.content.text if isinstance(answer.content, types.TextContent) else "something that is no text"
    )
    return _result(_text(f"LLM response: {said}"))


async def _elicitation(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    schema = {
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    }
    answer = await ctx.session.elicit_form(
        str((params.arguments or {}).get("message", "")), schema, ctx.request_id
    )
    return _result(_text(f"User response: action={answer.action}, content={json.dumps(answer.content)}"))


def _eliciting(schema: dict[str, Any]) -> Work:
    async def work(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
        answer = await ctx.session.elicit_form("Please choose.", schema, ctx.request_id)
        return _result(
            _text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")
        )

    return work


async def _needs_sampling(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    can = ctx.session.client_capabilities
    if can is None or can.sampling is None:
        raise MCPError(
            MISSING_CAPABILITY, "This tool needs sampling.", {"requiredCapabilities": {"sampling": {}}}
        )
    return _result(_text("The client can sample."))


def _question(text: str, tokens: int) -> types.CreateMessageRequestParams:
    message = types.SamplingMessage(role="user", content=_text(text))
    return types.CreateMessageRequestParams(messages=[message], max_tokens=tokens)


def _form(message: str, schema: dict[str, Any]) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _ask(_state: str | None = None, **requests: Any) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=_state)


async def _ask_name(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    answer = (params.input_responses or {}).get("user_name")
    if not isinstance(answer, types.ElicitResult):
        return _ask(user_name=_form("What is your name?", _NAME))
    return _result(_text(f"Hello, {(answer.content or {}).get('name', 'you')}!"))


async def _ask_sampling(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    if "capital_question" not in (params.input_responses or {}):
        return _ask(
            capital_question=types.CreateMessageRequest(
                params=_question("What is the capital of France?", 100)
            )
        )
    return _result(_text("The model answered."))


async def _ask_roots(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    answer = (params.input_responses or {}).get("client_roots")
    if answer is None:
        return _ask(client_roots=types.ListRootsRequest())
    roots = answer.roots if isinstance(answer, types.ListRootsResult) else []
    return _result(_text(f"Roots: {', '.join(str(root.uri) for root in roots)}"))


async def _ask_with_state(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    if params.request_state != "confirming" or "confirm" not in (params.input_responses or {}):
        return _ask("confirming", confirm=_form("Please confirm", _OK))
    return _result(_text("state-ok"))


async def _ask_all(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    if not {"user_name", "greeting", "client_roots"} <= set(params.input_responses or {}):
        return _ask(
            "all three",
            user_name=_form("What is your name?", _NAME),
            greeting=types.CreateMessageRequest(params=_question("Generate a greeting", 50)),
            client_roots=types.ListRootsRequest(),
        )
    return _result(_text("All three were answered."))


async def _ask_twice(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    answers = params.input_responses or {}
    if params.request_state == "step 2" and "step2" in answers:
        return _result(_text("Both steps were answered."))
    if params.request_state == "step 1" and "step1" in answers:
        colour = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}
        return _ask("step 2", step2=_form("Step 2: What is your favorite color?", colour))
    return _ask("step 1", step1=_form("Step 1: What is your name?", _NAME))


async def _ask_what_it_can(ctx: Ctx, params: types.CallToolRequestParams) -> Result:
    can = connection_of(ctx).client_capabilities
    requests: dict[str, Any] = {}
    if can is not None and can.sampling is not None:
        requests["question"] = types.CreateMessageRequest(params=_question("What can you do?", 50))
    if can is not None and can.elicitation is not None:
        requests["user_name"] = _form("What is your name?", _NAME)
    if not requests or set(params.input_responses or {}) & set(requests):
        return _result(_text("Nothing more is asked."))
    return types.InputRequiredResult(input_requests=requests)
