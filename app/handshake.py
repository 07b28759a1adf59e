"""What a second start of the workbench says to the first: one line of JSON, answered by `ok`."""

import json
from typing import cast

ANSWER_TIME_S = 1.5
MESSAGE_MAX_BYTES = 65_536


def encode(argv: list[str]) -> bytes:
    """One line."""
    return json.dumps({"argv": argv}).encode() + b"\n"


def decode(line: bytes) -> list[str]:
    """The arguments of a line; ValueError for what no window of ours has sent."""
    said = cast("object", json.loads(line))
    if not isinstance(said, dict):
        raise ValueError("not a start of the workbench")  # noqa: TRY004  # one kind of error for what cannot be read
    listed = cast("dict[str, object]", said).get("argv")
    return [str(argument) for argument in cast("list[object]", listed)] if isinstance(listed, list) else []
