"""Where a server of others may lead: to itself, wherever it lies, and to the internet."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from legion_core.kernel.addresses import is_loopback
from legion_core.kernel.fetch.reach import ANYWHERE, PUBLIC, Reach

LOCAL: Final = Reach(has_loopback=True)


def reach_of(url: str) -> Callable[[str], Reach]:
    """The reach for each host, of a server at `url`, which the user named.

    One on this computer may also lead to others on it, as its sign-in does.
    """
    own = urlsplit(url).hostname or ""

    def reach(host: str) -> Reach:
        return ANYWHERE if host == own else LOCAL if is_loopback(own) else PUBLIC

    return reach
