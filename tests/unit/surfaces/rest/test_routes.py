"""Each address is reached: none is hidden behind one that stands before it and takes any word in its place."""

import re

from legion_core.surfaces.rest.routes import operations


def form(path: str) -> re.Pattern[str]:
    """What an address takes."""
    parts = re.split(r"(\{[^}]*\})", path)
    return re.compile(
        "".join(
            ".+" if part.endswith(":path}") else "[^/]+" if part.startswith("{") else re.escape(part)
            for part in parts
        )
    )


def test_no_address_is_hidden_behind_one_with_an_id() -> None:
    table = operations()
    hidden = [
        f"{later.method} {later.path} behind {sooner.path}"
        for place, later in enumerate(table)
        for sooner in table[:place]
        if "{" not in later.path
        and sooner.method == later.method
        and sooner.path != later.path
        and form(sooner.path).fullmatch(later.path)
    ]
    assert hidden == []
