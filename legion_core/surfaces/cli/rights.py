"""What the command line asks of a node about rights: through its HTTP surface, or of one opened for the command."""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from legion_core.surfaces.cli.http import Wire, part

if TYPE_CHECKING:
    from legion_core.api.audit import AuditCheck, AuditRow
    from legion_core.api.facade import Legion
    from legion_core.api.rbac import Decision, PolicyRow, PreviewRow
    from legion_core.api.tokens import TokenMade, TokenRow

T = TypeVar("T")
_RBAC, _AUDIT = "/api/v1/rbac", "/api/v1/audit"


class RightsDoor(Protocol):
    """See `legion_core.api.rbac`, `.tokens` and `.audit`; all calls block."""

    def policy(self) -> "PolicyRow":
        """What is in force."""
        ...

    def check(self, subject: str, path: str, action: str) -> "Decision":
        """Whether somebody may, and which rule says so."""
        ...

    def apply(self, text: str) -> "PolicyRow":
        """Put a policy in force."""
        ...

    def preview(self, text: str) -> "tuple[PreviewRow, ...]":
        """What it would change."""
        ...

    def remove_policy(self) -> None:
        """Have none."""
        ...

    def tokens(self) -> "tuple[TokenRow, ...]":
        """Of all clients."""
        ...

    def create_token(
        self, name: str, scopes: Sequence[str], client: str, expires_s: float | None
    ) -> "TokenMade":
        """A new one, shown once."""
        ...

    def revoke_token(self, name: str) -> "TokenRow":
        """End it."""
        ...

    def connected(self, client: str, *, is_applied: bool, paths: Sequence[str]) -> None:
        """Record that another program's files were changed."""
        ...

    def entries(self, *, limit: int, kind: str, who: str, outcome: str) -> "tuple[AuditRow, ...]":
        """Of the audit log, newest first."""
        ...

    def verify(self) -> "AuditCheck":
        """Whether the audit log is whole."""
        ...

    def verify_lines(self, text: str) -> "AuditCheck":
        """Whether entries that were taken out are."""
        ...

    def export(self, after: int) -> bytes:
        """The audit log as lines of JSON."""
        ...


class LocalRights(RightsDoor):
    """See `RightsDoor`. `run` waits for a coroutine; `door` opens the node."""

    # ruff: noqa: D102  (every method is documented in the Protocol)

    def __init__(self, run: "Callable[[Coroutine[Any, Any, T]], T]", door: "Callable[[], Legion]") -> None:
        self._run: Callable[[Coroutine[Any, Any, Any]], Any] = run
        self._door = door

    def policy(self) -> "PolicyRow":
        return self._run(self._door().rbac.policy())

    def check(self, subject: str, path: str, action: str) -> "Decision":
        return self._door().rbac.check(subject, path, action)

    def apply(self, text: str) -> "PolicyRow":
        return self._run(self._door().rbac.apply(text))

    def preview(self, text: str) -> "tuple[PreviewRow, ...]":
        return self._door().rbac.preview(text)

    def remove_policy(self) -> None:
        self._run(self._door().rbac.remove())

    def tokens(self) -> "tuple[TokenRow, ...]":
        return self._run(self._door().tokens.list())

    def create_token(
        self, name: str, scopes: Sequence[str], client: str, expires_s: float | None
    ) -> "TokenMade":
        return self._run(self._door().tokens.create(name, scopes, client=client, expires_s=expires_s))

    def revoke_token(self, name: str) -> "TokenRow":
        return self._run(self._door().tokens.revoke(name))

    def connected(self, client: str, *, is_applied: bool, paths: Sequence[str]) -> None:
        kind = "connect.applied" if is_applied else "connect.undone"
        self._run(self._door().audit.note(kind, f"connect/{client}", "manage", "done", ", ".join(paths)))

    def entries(self, *, limit: int, kind: str, who: str, outcome: str) -> "tuple[AuditRow, ...]":
        return self._run(self._door().audit.page(limit=limit, kind=kind, who=who, outcome=outcome))

    def verify(self) -> "AuditCheck":
        return self._run(self._door().audit.verify())

    def verify_lines(self, text: str) -> "AuditCheck":
        return self._run(self._door().audit.verify(text.encode()))

    def export(self, after: int) -> bytes:
        parts: list[bytes] = []

        async def keep(lines: bytes) -> None:
            parts.append(lines)

        self._run(self._door().audit.export(keep, after=after))
        return b"".join(parts)


class RemoteRights(RightsDoor):
    """See `RightsDoor`: the running node."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def policy(self) -> "PolicyRow":
        from legion_core.api.rbac import PolicyRow

        return self._wire.get(_RBAC, PolicyRow)

    def check(self, subject: str, path: str, action: str) -> "Decision":
        from legion_core.api.rbac import Decision

        body = {"subject": subject, "path": path, "action": action}
        return self._wire.ask("POST", f"{_RBAC}/check", Decision, body=body)

    def apply(self, text: str) -> "PolicyRow":
        from legion_core.api.rbac import PolicyRow

        return self._wire.ask("PUT", _RBAC, PolicyRow, body={"text": text})

    def preview(self, text: str) -> "tuple[PreviewRow, ...]":
        from legion_core.api.rbac import PreviewRow

        return self._wire.ask("POST", f"{_RBAC}/preview", tuple[PreviewRow, ...], body={"text": text})

    def remove_policy(self) -> None:
        self._wire.ask("DELETE", _RBAC, dict)

    def tokens(self) -> "tuple[TokenRow, ...]":
        from legion_core.api.tokens import TokenRow

        return self._wire.get(f"{_RBAC}/tokens", tuple[TokenRow, ...])

    def create_token(
        self, name: str, scopes: Sequence[str], client: str, expires_s: float | None
    ) -> "TokenMade":
        from legion_core.api.tokens import TokenMade

        body = {"name": name, "scopes": list(scopes), "client": client, "expires_s": expires_s}
        return self._wire.ask("POST", f"{_RBAC}/tokens", TokenMade, body=body)

    def revoke_token(self, name: str) -> "TokenRow":
        from legion_core.api.tokens import TokenRow

        return self._wire.ask("DELETE", f"{_RBAC}/tokens/{part(name)}", TokenRow)

    def connected(self, client: str, *, is_applied: bool, paths: Sequence[str]) -> None:
        import msgspec

        body = {"client": client, "is_applied": is_applied, "paths": list(paths)}
        self._wire.ask("POST", f"{_AUDIT}/connect", msgspec.Raw, body=body)

    def entries(self, *, limit: int, kind: str, who: str, outcome: str) -> "tuple[AuditRow, ...]":
        from legion_core.api.audit import AuditRow

        query = {"limit": limit, "kind": kind, "who": who, "outcome": outcome}
        return self._wire.ask("GET", _AUDIT, tuple[AuditRow, ...], query=query)

    def verify(self) -> "AuditCheck":
        from legion_core.api.audit import AuditCheck

        return self._wire.get(f"{_AUDIT}/verify", AuditCheck)

    def verify_lines(self, text: str) -> "AuditCheck":
        from legion_core.api.audit import AuditCheck

        return self._wire.ask("POST", f"{_AUDIT}/verify", AuditCheck, body={"lines": text})

    def export(self, after: int) -> bytes:
        return self._wire.text(f"{_AUDIT}/export", after=after).encode()
