"""The program the conformance suite starts as the client: our own connection to other people's servers, one scenario.

The suite gives the server's address as the last word, the scenario's name in `MCP_CONFORMANCE_SCENARIO`, the protocol's
revision in `MCP_CONFORMANCE_PROTOCOL_VERSION`, and what else it needs as JSON in `MCP_CONFORMANCE_CONTEXT`.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import mcp_types as types
from mcp.client.session import ClientRequestContext
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull
from pydantic import AnyUrl

from legion_core.agent.mcp.link import Link
from legion_core.agent.mcp.tokens import SignedIn
from legion_core.agent.mcp.types import ServerSpec
from legion_core.agent.mcp.web import webbed
from legion_core.kernel.errors import LegionError
from legion_core.kernel.supervise import Supervisor

REDIRECT = "http://localhost:3000/callback"
METADATA = "https://conformance-test.local/client-metadata.json"
MODERN = "2026-07-28"
PATIENCE_S = 150.0  # the suite starts all its clients at once


class Headless:
    """A user who signs in at once: the suite's sign-in page sends back right away. See `agent.mcp.web.SignIn`."""

    redirect_uri = REDIRECT

    def __init__(self) -> None:
        self._location = ""

    async def go(self, url: str) -> None:
        """See `SignIn`."""
        async with httpx2.AsyncClient(follow_redirects=False) as client:
            self._location = (await client.get(url)).headers.get("location", "")

    async def back(self) -> AuthorizationCodeResult:
        """See `SignIn`."""
        query = parse_qs(urlsplit(self._location).query)
        return AuthorizationCodeResult(
            code=query["code"][0],
            state=next(iter(query.get("state", ())), None),
            iss=next(iter(query.get("iss", ())), None),
        )


class InMemory:
    """See `agent.mcp.web.Kept`."""

    def __init__(self, kept: SignedIn | None = None) -> None:
        self._kept = kept or SignedIn()

    async def found(self) -> SignedIn:
        """See `Kept`."""
        return self._kept

    async def keep(self, kept: SignedIn) -> None:
        """See `Kept`."""
        self._kept = kept


def known_client(context: Mapping[str, Any]) -> InMemory:
    """Tokens as after an earlier registration, where the scenario brings one."""
    if not context.get("client_id"):
        return InMemory()
    secret = context.get("client_secret")
    known = OAuthClientInformationFull(
        client_id=context["client_id"],
        client_secret=secret,
        redirect_uris=[AnyUrl(REDIRECT)],
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        issuer=context.get("issuer"),
    )
    return InMemory(SignedIn(client=known.model_dump_json(exclude_none=True)))


async def accept(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Say yes with every default of the form."""
    content: dict[str, Any] = {}
    if isinstance(params, types.ElicitRequestFormParams):
        properties: Mapping[str, Mapping[str, Any]] = params.requested_schema.get("properties", {})
        content = {name: field["default"] for name, field in properties.items() if "default" in field}
        for name in params.requested_schema.get("required", ()):
            content.setdefault(name, _some(properties.get(name, {})))
    return types.ElicitResult(action="accept", content=content)


def _some(field: Mapping[str, Any]) -> Any:
    """A value that fits."""
    match field.get("type"):
        case "boolean":
            return True
        case "integer" | "number":
            return 1
        case _:
            return field.get("enum", ["Ada"])[0]


async def run(url: str, scenario: str, version: str, context: Mapping[str, Any]) -> None:
    """Connect as the scenario wants, list, and call what the scenario is about."""
    spec = ServerSpec(name="suite", url=url, oauth=scenario.startswith("auth/"), timeout_s=PATIENCE_S)
    supervisor = Supervisor()
    sign_in, kept = (Headless(), known_client(context)) if spec.oauth else (None, None)

    def transport(ending: Any) -> Any:
        return webbed(spec, {}, sign_in=sign_in, kept=kept, metadata_url=METADATA if spec.oauth else None)

    link = Link(
        spec,
        transport,
        supervisor,
        # Only one scenario is about finding out what a server speaks; asking takes longer on a busy machine than it waits.
        mode="legacy" if version != MODERN else "auto" if scenario == "request-metadata" else MODERN,
        elicit=accept,
        start_s=PATIENCE_S,
    )
    try:
        await link.open()
        tools = await link.tools()
        for name, arguments in calls_of(scenario, context, {str(tool["name"]): tool for tool in tools}):
            with suppress(LegionError):  # what the scenario looks at is what went over the wire
                await link.call(name, arguments)
    finally:
        await link.close()
        await supervisor.stop()


def calls_of(
    scenario: str, context: Mapping[str, Any], tools: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    """What to call: what the scenario names, else every tool with arguments that fit its schema."""
    told = context.get("toolCalls") or context.get("tool_calls")
    if told:
        return [(each["name"], each.get("arguments", {})) for each in told]
    match scenario:
        case "initialize" | "json-schema-ref-no-deref":
            return []
        case "tools_call":
            return [("add_numbers", {"a": 5, "b": 3})]
        case _:
            return [(name, fitting(tool.get("inputSchema", {}))) for name, tool in tools.items()]


def fitting(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments a tool's schema takes."""
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    return {name: _some(properties.get(name, {})) for name in schema.get("required", ())}


def main() -> int:
    """See the module; a scenario that must fail fails here too, and the suite looks at the wire."""
    env = os.environ
    try:
        asyncio.run(
            run(
                sys.argv[-1],
                env.get("MCP_CONFORMANCE_SCENARIO", ""),
                env.get("MCP_CONFORMANCE_PROTOCOL_VERSION", ""),
                json.loads(env.get("MCP_CONFORMANCE_CONTEXT") or "{}"),
            )
        )
    except LegionError as error:
        sys.stderr.write(f"{error.sentence()}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
