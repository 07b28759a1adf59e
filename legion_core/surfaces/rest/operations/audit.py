"""`/api/v1/audit`: what was decided and done, checked and taken out."""

from typing import Annotated

import msgspec

from legion_core.api.audit import AuditCheck, AuditRow
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Client, Desk, Operation, Parameter, Reply, Streamed
from legion_core.surfaces.rest.examples import AT
from legion_core.surfaces.rest.paging import PAGE_DEFAULT

SEQ_MAX = 1 << 53


class LinesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Entries as they are exported, one JSON value a line."""

    lines: str


class ConnectBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was written into whose files, or taken out."""

    client: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,64}$")]
    is_applied: bool
    paths: tuple[str, ...] = ()


async def list_entries(desk: Desk, call: Call) -> Reply:
    """Newest first."""
    limit = call.number(
        "limit", default=min(PAGE_DEFAULT, desk.limits.page_max), maximum=desk.limits.page_max
    )
    found = await desk.legion.audit.page(
        limit=limit + 1,
        below=_cursor(call),
        kind=_word(call, "kind"),
        who=_word(call, "who"),
        outcome=_word(call, "outcome"),
    )
    page = found[:limit]
    following = str(page[-1].seq) if len(found) > limit else None
    return Reply(page, meta={"limit": limit, "next": following})


async def verify(desk: Desk, call: Call) -> Reply:
    """Reads all of it."""
    return Reply(await desk.legion.audit.verify())


async def verify_lines(desk: Desk, call: Call) -> Reply:
    """Entries that were exported or moved out: nothing here is changed by them."""
    return Reply(await desk.legion.audit.verify(call.read(LinesBody).lines.encode()))


async def note_connect(desk: Desk, call: Call) -> Reply:
    """The command line wrote into another program's files by itself; here it says so. The owner alone."""
    body = call.read(ConnectBody)
    kind = "connect.applied" if body.is_applied else "connect.undone"
    await desk.legion.audit.note(
        kind, f"connect/{body.client}"[:128], "manage", "done", ", ".join(body.paths)[:1000]
    )
    return Reply(body)


async def export(desk: Desk, call: Call) -> Streamed:
    """Every entry as a line of JSON, oldest first, with its hash and seal."""
    after = call.number("after", default=0, minimum=0, maximum=SEQ_MAX)

    async def write(client: Client) -> None:
        await client.start(200, "application/x-ndjson")
        await desk.legion.audit.export(client.send, after=after)
        await client.finish()

    return Streamed(write)


def _cursor(call: Call) -> int:
    text = call.query.get("cursor", "")
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 17):
        raise InvalidInput("`cursor` is not one we gave.")
    return int(text)


def _word(call: Call, name: str) -> str:
    text = call.query.get(name, "")
    if len(text) > 256:
        raise InvalidInput(f"`{name}` is longer than 256 characters.")
    return text


_ROW = AuditRow(
    seq=7,
    at=AT,
    kind="token.created",
    who="owner",
    path="editor",
    action="created",
    outcome="done",
    detail="gateway/*:use; client Zed",
    hash="5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
)

_CONNECT = ConnectBody(client="zed", is_applied=True, paths=("/home/ada/.config/zed/settings.json",))

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/audit",
        name="list_audit",
        summary="What was decided and done, newest first",
        handler=list_entries,
        right=("audit", "read"),
        answer=tuple[AuditRow, ...],
        example=(_ROW,),
        query=(
            Parameter("kind", "Only these, such as token.created, or what begins so, such as token."),
            Parameter("who", "Only what this subject did."),
            Parameter("outcome", "Only these, such as denied."),
            Parameter(
                "limit", "How many at most.", {"type": "integer", "minimum": 1, "default": PAGE_DEFAULT}
            ),
            Parameter("cursor", "The `meta.next` of the page before."),
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/audit/verify",
        name="verify_audit",
        summary="Whether the log is whole, and if not, the first bad entry",
        handler=verify,
        right=("audit", "read"),
        answer=AuditCheck,
        example=AuditCheck(is_whole=True, count=7, key="the system's keyring"),
    ),
    Operation(
        method="POST",
        path="/api/v1/audit/verify",
        name="verify_audit_lines",
        summary="Whether entries that were taken out are whole",
        handler=verify_lines,
        right=("audit", "read"),
        answer=AuditCheck,
        example=AuditCheck(is_whole=True, count=7),
        body=LinesBody,
        body_example=LinesBody(lines=""),
    ),
    Operation(
        method="POST",
        path="/api/v1/audit/connect",
        name="note_connect",
        summary="Say that another program's files were changed by the command line",
        handler=note_connect,
        right=("connect", "manage"),
        answer=ConnectBody,
        example=_CONNECT,
        body=ConnectBody,
        body_example=_CONNECT,
    ),
    Operation(
        method="GET",
        path="/api/v1/audit/export",
        name="export_audit",
        summary="All of it as lines of JSON, with hashes and seals",
        handler=export,
        right=("audit", "read"),
        example='{"seq":1,"at_us":1773480413589000,"kind":"token.created","who":"owner"}\n',
        query=(
            Parameter(
                "after", "Only entries behind this one.", {"type": "integer", "minimum": 0, "default": 0}
            ),
        ),
        media_type="application/x-ndjson",
        is_enveloped=False,
    ),
)
