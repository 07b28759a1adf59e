"""Tokens of clients: made, shown once, listed, revoked."""

from collections.abc import Sequence

import msgspec

from legion_core.kernel.ports import LOCAL_OWNER, Principal
from legion_core.rbac.service import Rbac, RightsChanged, TokenEnded
from legion_core.rbac.tokens import PRESETS, TokenRow

__all__ = ["PRESETS", "RightsChanged", "TokenEnded", "TokenMade", "TokenRow", "Tokens"]


class TokenMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new token; `secret` is shown this once."""

    secret: str
    row: TokenRow


class Tokens:
    """See the module."""

    def __init__(self, rbac: Rbac) -> None:
        self._rbac = rbac

    async def create(
        self,
        name: str,
        scopes: Sequence[str] = (),
        *,
        client: str = "",
        expires_s: float | None = None,
        who: Principal = LOCAL_OWNER,
    ) -> TokenMade:
        """A new one, in force when this returns; a scope is `GLOB:ACTION,…` or the name of a preset.

        Without scopes it may do what the policy's roles give it, and nothing where there are none. Raises Denied,
        InvalidInput (the name, a scope), Conflict (there is one of that name), LimitReached.
        """
        made = await self._rbac.create_token(who, name, scopes, client, expires_s)
        return TokenMade(secret=made.secret, row=made.row)

    async def list(self) -> tuple[TokenRow, ...]:
        """Live ones first, by name; then those that ended."""
        return await self._rbac.tokens()

    async def revoke(self, name: str, who: Principal = LOCAL_OWNER) -> TokenRow:
        """End it: in force when this returns, also for what it holds open. NotFound."""
        return await self._rbac.revoke_token(who, name)
