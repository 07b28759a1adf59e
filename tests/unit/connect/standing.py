"""A home with a program in it, and the connector that edits its file."""

from pathlib import Path

from legion_core.connect.clients import Offer, Surroundings, find, targets
from legion_core.connect.service import Connector, default_parts
from legion_core.kernel.clock import SystemClock


def offer(client: str, base: str = "http://127.0.0.1:4567") -> Offer:
    """What the tests offer."""
    return Offer(
        command=("/opt/legion workbench/legion", "mcp", "--client", client),
        base=base,
        key_command=("/opt/legion workbench/legion", "connect", "key", client),
        key_path=f"/srv/keys/{client}",
    )


class Stand:
    """`path` is the program's first file; everything lies under `root`."""

    def __init__(
        self, root: Path, client: str, *, is_installed: bool = True, base: str = "http://127.0.0.1:4567"
    ):
        self.client = client
        self.base = base
        self.where = Surroundings(home=root / "home", platform="linux", env={})
        self.kept = root / "kept"
        self.connector = Connector(
            self.kept,
            self.where,
            lambda name: offer(name, self.base),
            SystemClock(),
            lambda name: f"/usr/bin/{name}" if is_installed else None,
        )
        program = find(client)
        first = targets(program, self.where, offer(client), default_parts(program))[0]
        self.path = Path(first.candidates[0])

    def write(self, content: bytes | str) -> None:
        """Put a file where the program has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self) -> bytes:
        """What is there now."""
        return self.path.read_bytes()
