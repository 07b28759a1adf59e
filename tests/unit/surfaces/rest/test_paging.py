"""Cursors: whatever a client sends, a page or a refusal comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.api.types import OWNER
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call
from legion_core.surfaces.rest.paging import meta_of, page_of


def call(**query: str) -> Call:
    return Call(who=OWNER, path={}, query=query, headers={}, body=b"")


@given(st.integers(1, 100), st.integers(0, 500))
def test_following_the_cursors_visits_everything_once(limit: int, count: int) -> None:
    everything, seen, query = list(range(count)), list[int](), {"limit": str(limit)}
    while True:
        size, offset = page_of(call(**query), 100)
        page = everything[offset : offset + size + 1]
        seen += page[:size]
        following = meta_of(size, offset, len(page))["next"]
        if following is None:
            break
        query["cursor"] = str(following)

    assert seen == everything


@given(st.text(max_size=30))
def test_a_cursor_we_did_not_give_is_refused(cursor: str) -> None:
    try:
        _, offset = page_of(call(cursor=cursor), 100)
    except InvalidInput:
        return
    assert offset >= 0


@pytest.mark.parametrize("limit", ["0", "-1", "101", "x", "1.5", "١", "9" * 40])
def test_a_limit_out_of_bounds_is_refused(limit: str) -> None:
    with pytest.raises(InvalidInput):
        page_of(call(limit=limit), 100)
