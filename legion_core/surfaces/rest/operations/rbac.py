"""`/api/v1/rbac`: the policy, why something is allowed or not, and the tokens of clients."""

import msgspec

from legion_core.api.rbac import Decision, PolicyRow, PreviewRow, RoleRow
from legion_core.api.tokens import TokenMade, TokenRow
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.examples import AT
from legion_core.surfaces.rest.operations.models import Done

ASKED_MAX = 1_000


class PolicyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy as TOML."""

    text: str


class QuestionBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """May `subject` do `action` at `path`?"""

    subject: str
    path: str
    action: str


class PreviewBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy to be, and the `[path, action]` pairs to ask about; the doors of the workbench where none is given."""

    text: str
    asked: tuple[tuple[str, str], ...] = ()


class TokenBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to make. A scope is `GLOB:ACTION,…` or a preset: chat, mcp, connected-app, read, tasks."""

    name: str
    scopes: tuple[str, ...] = ()
    client: str = ""
    expires_s: float | None = None


class MeShape(msgspec.Struct, frozen=True, kw_only=True):
    """Who the request's token stands for."""

    name: str
    is_owner: bool


async def show_me(desk: Desk, call: Call) -> Reply:
    """Who asks."""
    return Reply(MeShape(name=call.who.name, is_owner=call.who.carrier != "token"))


async def show_policy(desk: Desk, call: Call) -> Reply:
    """What is in force, and what is wrong with the file where that is another one."""
    return Reply(await desk.legion.rbac.policy())


async def apply_policy(desk: Desk, call: Call) -> Reply:
    """Whole, or refused with every fault and its line."""
    return Reply(await desk.legion.rbac.apply(call.read(PolicyBody).text, call.who))


async def remove_policy(desk: Desk, call: Call) -> Reply:
    """On purpose; a file that is merely gone changes nothing."""
    await desk.legion.rbac.remove(call.who)
    return Reply(Done(name="policy", done="removed"))


async def check_right(desk: Desk, call: Call) -> Reply:
    """The decision, and the rule that made it."""
    asked = call.read(QuestionBody)
    return Reply(desk.legion.rbac.check(asked.subject, asked.path, asked.action))


async def preview_policy(desk: Desk, call: Call) -> Reply:
    """A dry run: what is allowed now, and what would be."""
    body = call.read(PreviewBody)
    if len(body.asked) > ASKED_MAX:
        raise InvalidInput(f"At most {ASKED_MAX:,} questions are answered at once.")
    return Reply(desk.legion.rbac.preview(body.text, body.asked))


async def list_tokens(desk: Desk, call: Call) -> Reply:
    """Live ones first; never their secrets."""
    return Reply(await desk.legion.tokens.list())


async def create_token(desk: Desk, call: Call) -> Reply:
    """The secret is in this answer and nowhere else."""
    body = call.read(TokenBody)
    made = await desk.legion.tokens.create(
        body.name, body.scopes, client=body.client, expires_s=body.expires_s, who=call.who
    )
    return Reply(made, status=201)


async def revoke_token(desk: Desk, call: Call) -> Reply:
    """In force when this is answered; what it holds open is closed."""
    return Reply(await desk.legion.tokens.revoke(call.path["name"], call.who))


_READ, _MANAGE = ("rbac", "read"), ("rbac", "manage")
_TOKENS_READ, _TOKENS_MANAGE = ("tokens", "read"), ("tokens", "manage")
_TEXT = (
    "version = 1\n[roles.fetcher]\n"
    'allow = [{ path = "tasks/http/*", actions = ["run"] }]\n'
    '[[assign]]\nsubject = "editor"\nroles = ["fetcher"]\n'
)
_POLICY = PolicyRow(
    path="/home/ada/.local/share/legion/policy.toml",
    text=_TEXT,
    is_in_force=True,
    faults=(),
    roles=(RoleRow(name="fetcher", description="", allow=("tasks/http/*:run",), deny=(), is_builtin=False),),
)
_TOKEN = TokenRow(
    name="editor",
    subject="editor",
    tail="x7Qa",
    scopes=("gateway/*:use", "mcp:use"),
    client="Zed",
    state="active",
    created_at=AT,
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/rbac",
        name="show_policy",
        summary="The policy in force",
        handler=show_policy,
        right=_READ,
        answer=PolicyRow,
        example=_POLICY,
    ),
    Operation(
        method="PUT",
        path="/api/v1/rbac",
        name="apply_policy",
        summary="Put a policy in force, whole or not at all",
        handler=apply_policy,
        right=_MANAGE,
        answer=PolicyRow,
        example=_POLICY,
        body=PolicyBody,
        body_example=PolicyBody(text=_TEXT),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/rbac",
        name="remove_policy",
        summary="Have no policy",
        handler=remove_policy,
        right=_MANAGE,
        answer=Done,
        example=Done(name="policy", done="removed"),
    ),
    Operation(
        method="GET",
        path="/api/v1/rbac/me",
        name="show_me",
        summary="Who the token of this request stands for",
        handler=show_me,
        right=("rbac/me", "read"),
        answer=MeShape,
        example=MeShape(name="owner", is_owner=True),
    ),
    Operation(
        method="POST",
        path="/api/v1/rbac/check",
        name="check_right",
        summary="Whether somebody may do something, and which rule decides",
        handler=check_right,
        right=_READ,
        answer=Decision,
        example=Decision(
            subject="editor",
            path="tasks/http/request/get",
            action="run",
            is_allowed=True,
            rule="role fetcher, allow tasks/http/* (line 3)",
            why="role fetcher, allow tasks/http/* (line 3) allows it.",
        ),
        body=QuestionBody,
        body_example=QuestionBody(subject="editor", path="tasks/http/request/get", action="run"),
    ),
    Operation(
        method="POST",
        path="/api/v1/rbac/preview",
        name="preview_policy",
        summary="What a policy would change",
        handler=preview_policy,
        right=_READ,
        answer=tuple[PreviewRow, ...],
        example=(
            PreviewRow(
                subject="editor",
                path="tasks/shell/command/run",
                action="run",
                is_allowed_now=True,
                is_allowed_then=False,
                why_then="No rule allows it.",
            ),
        ),
        body=PreviewBody,
        body_example=PreviewBody(text=_TEXT),
    ),
    Operation(
        method="GET",
        path="/api/v1/rbac/tokens",
        name="list_tokens",
        summary="Tokens of clients",
        handler=list_tokens,
        right=_TOKENS_READ,
        answer=tuple[TokenRow, ...],
        example=(_TOKEN,),
    ),
    Operation(
        method="POST",
        path="/api/v1/rbac/tokens",
        name="create_token",
        summary="Make a token for a client; its secret is shown this once",
        handler=create_token,
        right=_TOKENS_MANAGE,
        answer=TokenMade,
        example=TokenMade(secret="lgn_…", row=_TOKEN),  # noqa: S106 - an example
        status=201,
        body=TokenBody,
        body_example=TokenBody(name="editor", scopes=("connected-app",), client="Zed"),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/rbac/tokens/{name}",
        name="revoke_token",
        summary="Revoke a token, at once",
        handler=revoke_token,
        right=_TOKENS_MANAGE,
        answer=TokenRow,
        example=msgspec.structs.replace(_TOKEN, state="revoked"),
    ),
)
