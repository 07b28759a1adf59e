"""What `legion token list` says a token may do: presets by name, not their rules one by one."""

import pytest

from legion_core.rbac.tokens import expanded
from legion_core.surfaces.cli.commands import rights


@pytest.mark.parametrize(
    ("scopes", "told"),
    [
        ((), "by its roles"),
        (("chat",), "chat"),
        (("connected-app",), "connected-app"),
        (("mcp", "chat"), "connected-app"),
        (("read", "tasks"), "read tasks"),
        (("tasks/http/*:run", "chat"), "chat tasks/http/*:run"),
        (("models:read",), "models:read"),
        (
            tuple(f"tasks/{name}/*:run" for name in "abcde"),
            "tasks/a/*:run tasks/b/*:run tasks/c/*:run and 2 more",
        ),
    ],
)
def test_scopes_are_told_by_the_names_they_were_given_by(scopes: tuple[str, ...], told: str) -> None:
    assert rights._scopes_words(expanded(scopes)) == told
