"""Who asks Azure where no key was given: the account or the managed identity the Azure tools find on this machine."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from legion_core.gateway.providers.extras import official
from legion_core.kernel.contacts import CONTACTS
from legion_core.kernel.errors import BadCredentials, ConnectionLost
from legion_core.kernel.fetch.gate import GATE

LOGIN: Final = "login.microsoftonline.com"
SCOPE: Final = "https://cognitiveservices.azure.com/.default"


class EntraSign:
    """See `wire.Sign`. The official library finds the account, keeps the token and renews it; all off the loop."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._credential: Any = None
        self._asking = asyncio.Lock()

    async def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """See `wire.Sign`."""
        # The library has connections of its own: it is asked only if its first host may be.
        GATE.check(LOGIN, 443, "sign-in", self._who)
        CONTACTS.note(LOGIN, 443, "sign-in", self._who)
        async with self._asking:
            return await asyncio.to_thread(self._headers)

    def _headers(self) -> dict[str, str]:
        identity: Any = official("azure.identity", "azure", f"{self._who} without a key")
        exceptions: Any = official("azure.core.exceptions", "azure", self._who)
        if self._credential is None:
            self._credential = identity.DefaultAzureCredential()
        try:
            token = self._credential.get_token(SCOPE)
        except exceptions.ClientAuthenticationError as error:
            first = str(error).partition("\n")[0][:200]
            raise BadCredentials(
                f"{self._who} has no Azure account to ask with: {first}",
                hint="Enter the resource's key, or sign in with `az login`.",
            ) from error
        except exceptions.AzureError as error:
            raise ConnectionLost(
                f"{self._who} could not reach Azure to sign in: {type(error).__name__}."
            ) from error
        return {"authorization": f"Bearer {token.token}"}

    async def aclose(self) -> None:
        """Close what the library holds open; idempotent."""
        credential, self._credential = self._credential, None
        if credential is not None:
            await asyncio.to_thread(credential.close)
