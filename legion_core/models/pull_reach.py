"""Where a download may come from: the public internet; an address of this computer or network only at a person's word.

A link in a chat or on a web page must not make the workbench ask a router or a cloud's metadata service.
"""

from typing import Any
from urllib.parse import urlsplit

from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.fetch import reach
from legion_core.kernel.fetch.transport import Use, way_out

HINT = "If you mean it, say so: `legion model pull URL --private`, or confirm it in the window."


class PrivateAddress(InvalidInput):
    """The URL leads to an address that is not on the public internet; `host` as written."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is an address of this computer or of your own network.", hint=HINT)
        self.host = host


async def check_reach(url: str, resolve: reach.Resolve | None = None) -> None:
    """Return if the URL's host is public; raise PrivateAddress if it is not, or ConnectionLost if it is not found.

    Nothing is contacted. One private address among many is enough: which one is used must not depend on luck.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if not reach.PUBLIC.admits(host, port, await (resolve or reach.resolved)(host, port)):
        raise PrivateAddress(host)


def outgoing(library: Any, name: str, *, allow_private: bool, resolve: reach.Resolve | None = None) -> Any:
    """The transport for a download of the model `name`, redirects included; raises what `kernel.fetch` raises."""

    def where(_: str) -> reach.Reach:
        return reach.ANYWHERE if allow_private else reach.PUBLIC

    return way_out(library, Use(purpose="model download", by=name, reach=where, resolve=resolve))
