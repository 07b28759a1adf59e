"""How a task asks a model: the gateway behind the port `Asker`."""

import msgspec

from legion_core.gateway.service import Gateway
from legion_core.gateway.types import Message, Params, Pins, Request, TextBlock, Tier
from legion_core.kernel.errors import InvalidInput, Unavailable
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import Principal


class GatewayAsker:
    """See `kernel.ports.Asker`."""

    def __init__(self, gateway: Gateway, ids: Ids) -> None:
        self._gateway = gateway
        self._ids = ids

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
        """See `Asker`. An answer that broke off is Unavailable: half an answer is none to a task."""
        try:
            wanted = msgspec.json.decode(schema) if schema else None
        except msgspec.DecodeError as error:
            raise InvalidInput(f"`schema` is not JSON: {error}.") from error
        request = Request(
            id=self._ids.new("req"),
            messages=(Message(role="user", content=(TextBlock(text=prompt),)),),
            system=(system,) if system else (),
            params=Params(json_schema=wanted, temperature=temperature),
            pins=Pins(model=model or None, instance=instance or None, tier=_tier(tier) if tier else None),
            stream=False,
            client="task",
        )
        answer = await self._gateway.answer(request, who)
        if answer.closed.stop_reason == "error":
            raise Unavailable(answer.closed.error or "The answer broke off.")
        return answer.text


def _tier(word: str) -> Tier:
    try:
        return Tier.parse(word)
    except KeyError as error:
        raise InvalidInput(f"{word[:40]!r} is not a tier.") from error
