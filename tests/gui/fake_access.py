"""Tokens and the policy in memory: the real rules decide, only the keeping of them is left out."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from legion_core.api.rbac import DOORS, PolicyRow, PreviewRow
from legion_core.api.tokens import RightsChanged, TokenMade, TokenRow
from legion_core.kernel.errors import ConfigError, Conflict
from legion_core.kernel.events import EventBus
from legion_core.rbac.authorizer import PolicyAuthorizer
from legion_core.rbac.policy import parse
from legion_core.rbac.rules import read_scope
from legion_core.rbac.tokens import Token, check_name, expanded


class ClientTokens:
    def __init__(self, bus: EventBus, clock: Any, authorizer: PolicyAuthorizer) -> None:
        self._bus, self._clock, self._authorizer = bus, clock, authorizer
        now = clock.utc_now()
        self.rows = [
            TokenRow(
                name="cursor", subject="cursor", tail="a91f", scopes=expanded(("connected-app",)), client="Cursor",
                state="active", created_at=now, last_used_at=now,
            ),
            TokenRow(
                name="old", subject="old", tail="0000", scopes=(), client="", state="revoked", created_at=now
            ),
        ]  # fmt: skip
        self._tell()

    async def create(
        self, name: str, scopes: Sequence[str] = (), *, client: str = "", expires_s: float | None = None
    ) -> TokenMade:
        check_name(name)
        if any(row.name == name and row.state == "active" for row in self.rows):
            raise Conflict(f"There is a token {name!r} already.")
        now = self._clock.utc_now()
        expires_at = now + timedelta(seconds=expires_s) if expires_s else None
        row = TokenRow(
            name=name, subject=name, tail="x7Qa", scopes=expanded(scopes), client=client, state="active",
            created_at=now, expires_at=expires_at,
        )  # fmt: skip
        self.rows.append(row)
        self._tell()
        return TokenMade(secret=f"lgn_secret-of-{name}-x7Qa", row=row)

    async def list(self) -> tuple[TokenRow, ...]:
        return tuple(self.rows)

    async def revoke(self, name: str) -> TokenRow:
        place = next(n for n, row in enumerate(self.rows) if row.name == name and row.state == "active")
        self.rows[place] = msgspec.structs.replace(self.rows[place], state="revoked")
        self._tell()
        return self.rows[place]

    def _tell(self) -> None:
        self._authorizer.put_tokens(
            [
                Token(
                    row.name, row.name, row.name, row.name.encode(), row.tail, row.scopes,
                    tuple(map(read_scope, row.scopes)), row.client, 0, None, None, None,
                )
                for row in self.rows
                if row.state == "active"
            ]
        )  # fmt: skip
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(RightsChanged(at_utc=at_utc, at_mono_s=at_mono_s, what="token"))


class FakeRbac:
    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.authorizer = PolicyAuthorizer(clock)
        self.text = ""

    async def policy(self) -> PolicyRow:
        is_in_force = self.authorizer.is_policy
        return PolicyRow(
            path="/home/policy.toml", text=self.text, is_in_force=is_in_force, faults=(), roles=()
        )

    async def apply(self, text: str) -> PolicyRow:
        self.authorizer.put_policy(parse(text))
        self.text = text
        return await self.policy()

    async def remove(self) -> None:
        self.authorizer.put_policy(None)
        self.text = ""

    def faults(self, text: str) -> tuple[str, ...]:
        try:
            parse(text)
        except ConfigError as error:
            return error.faults
        return ()

    def preview(self, text: str) -> tuple[PreviewRow, ...]:
        then = PolicyAuthorizer(self._clock)
        then.put_tokens(tuple(self.authorizer.tokens.values()))
        then.put_policy(parse(text))
        subjects = {each.subject for each in then.policy.assignments} | {
            t.subject for t in then.tokens.values()
        }
        return tuple(
            PreviewRow(
                subject=subject, path=path, action=action,
                is_allowed_now=self.authorizer.explain(subject, path, action).is_allowed,
                is_allowed_then=(found := then.explain(subject, path, action)).is_allowed, why_then=found.why,
            )
            for subject in sorted(subjects - {"*"})
            for path, action in DOORS
        )  # fmt: skip
