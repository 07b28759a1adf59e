"""Pure: which addresses a task may ask. A private one only if the configuration lists it."""

from collections.abc import Sequence

from legion_core.kernel.addresses import is_address, is_public

__all__ = ["is_address", "is_allowed", "is_public"]


def is_allowed(host: str, port: int, addresses: Sequence[str], allow: Sequence[str]) -> bool:
    """Whether `host` (as written) at `port` may be asked when it resolves to `addresses`.

    `allow` lists HOST:PORT or HOST, by name or address; `[::1]:80` for IPv6. One private address among many is
    enough to refuse: which one is used must not depend on luck.
    """
    if not addresses:
        return False
    rules = [_rule(word) for word in allow]
    if any(name == host.lower() and wanted in (None, port) for name, wanted in rules):
        return True
    return all(
        is_public(address) or any(name == address and wanted in (None, port) for name, wanted in rules)
        for address in addresses
    )


def _rule(word: str) -> tuple[str, int | None]:
    text = word.strip().lower()
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    return host, int(port) if port.isascii() and port.isdecimal() else None
