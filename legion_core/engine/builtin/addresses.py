"""Pure: how an address is written where the configuration lists those that tasks may ask."""


def listed(host: str, port: int) -> str:
    """`HOST:PORT`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
