"""What one slice needs of another, as Protocols with an honest Null beside each.

A Null port is a slice that is not installed: it says so by what it gives (nothing retrieved, nothing archived),
and it never pretends to have done the work.
"""

from contextvars import ContextVar
from typing import Literal, Protocol

import msgspec

from legion_core.kernel.errors import Denied, Unsupported

Carrier = Literal["owner", "local", "token", "none"]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a name, and how they proved it.

    `name` is what is stored beside what somebody did; what that name may do later is asked anew of `Authorizer.named`.
    `token` is the id of the token that was shown, empty for the owner. `scopes` narrow this principal further than its
    token does (`GLOB:ACTION,…`); there is no way to widen one.
    """

    name: str
    carrier: Carrier = "none"
    token: str = ""
    scopes: tuple[str, ...] = ()


OWNER = Principal(name="owner", carrier="owner")
LOCAL_OWNER = Principal(name="owner", carrier="local")  # the window and the command line of this very process
NOBODY = Principal(name="nobody")
# Who the work at hand is done for, where no argument says it; a surface sets it for each request.
ACTING: ContextVar[Principal] = ContextVar("legion.acting", default=LOCAL_OWNER)


class Authorizer(Protocol):
    """The one authorise call every surface goes through."""

    def authorise(self, who: Principal, path: str, action: str) -> None:
        """Return if `who` may do `action` at `path` (such as `gateway/chat`, `use`); else raise Denied."""
        ...

    def may(self, who: Principal, path: str, action: str) -> bool:
        """The same as a yes or no, for lists of what somebody could do; nothing is recorded."""
        ...

    def named(self, name: str) -> Principal:
        """Who a stored name is now: what it may do today, not what it could when it was stored.

        A name that is nobody's any more gives a principal that may do nothing.
        """
        ...


class OwnerOnly:
    """The Authorizer where there are no policies and no tokens: the owner may do everything, everybody else nothing."""

    def authorise(self, who: Principal, path: str, action: str) -> None:
        """See `Authorizer`."""
        if not self.may(who, path, action):
            raise Denied(
                f"{who.name} may not {action} {path}: only the owner's token is accepted.",
                hint="Send the token of LEGION_HOME/token as `Authorization: Bearer …`.",
            )

    def may(self, who: Principal, path: str, action: str) -> bool:
        """See `Authorizer`."""
        return who.carrier in ("owner", "local")

    def named(self, name: str) -> Principal:
        """See `Authorizer`."""
        return LOCAL_OWNER if name == LOCAL_OWNER.name else Principal(name=name)


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
