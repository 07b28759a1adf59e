"""What one slice needs of another, as Protocols with an honest Null beside each.

A Null port is a slice that is not installed: it says so by what it gives (nothing retrieved, nothing archived),
and it never pretends to have done the work.
"""

from typing import Literal, Protocol

import msgspec

from legion_core.kernel.errors import Denied, Unsupported

Carrier = Literal["owner", "local", "none"]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a name, and how they proved it."""

    name: str
    carrier: Carrier = "none"


OWNER = Principal(name="owner", carrier="owner")
LOCAL_OWNER = Principal(name="owner", carrier="local")  # the window and the command line of this very process
NOBODY = Principal(name="nobody")


class Authorizer(Protocol):
    """The one authorise call every surface goes through."""

    def authorise(self, who: Principal, path: str, action: str) -> None:
        """Return if `who` may do `action` at `path` (such as `gateway/chat`, `use`); else raise Denied."""
        ...


class OwnerOnly:
    """The Authorizer before policies exist: the owner may do everything, everybody else nothing."""

    def authorise(self, who: Principal, path: str, action: str) -> None:
        """See `Authorizer`."""
        if who.carrier not in ("owner", "local"):
            raise Denied(
                f"{who.name} may not {action} {path}: only the owner's token is accepted.",
                hint="Send the token of LEGION_HOME/token as `Authorization: Bearer …`.",
            )


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A retrieved text and where it came from."""

    source: str
    text: str
    score: float


class Retriever(Protocol):
    """Finds what is known about a question."""

    async def retrieve(self, question: str, limit: int) -> tuple[Passage, ...]:
        """At most `limit` passages, best first."""
        ...


class NoRetriever:
    """No knowledge store is installed: nothing is ever found."""

    async def retrieve(self, question: str, limit: int) -> tuple[Passage, ...]:
        """See `Retriever`."""
        return ()


class Asker(Protocol):
    """Asks a model, for whoever must not know the gateway: a task, a transform."""

    async def ask(
        self,
        who: Principal,
        prompt: str,
        *,
        system: str = "",
        model: str = "",
        schema: str = "",
        tier: str = "",
        instance: str = "",
        temperature: float | None = None,
    ) -> str:
        """The whole answer. `model`, `tier` and `instance` pin the route where given; `schema` is a JSON schema the answer should fit.

        Raises ProviderError if nothing could answer, Denied if `who` may not ask.
        """
        ...


class NoAsker:
    """No gateway is installed: every question is refused."""

    async def ask(
        self,
        who: Principal,
        prompt: str,
        *,
        system: str = "",
        model: str = "",
        schema: str = "",
        tier: str = "",
        instance: str = "",
        temperature: float | None = None,
    ) -> str:
        """See `Asker`."""
        raise Unsupported("No model can be asked: the gateway is not installed.", capability="chat")
