"""A port nobody listens on."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """A free TCP port as the system gives it; another program may take it before it is used."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
