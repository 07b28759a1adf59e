"""What the rules read of the product is let go when they are done: each full collection would walk it again."""

from collections.abc import Iterator

import pytest

from tests.arch import source


@pytest.fixture(scope="package", autouse=True)
def _trees_let_go() -> Iterator[None]:
    yield
    source.forget()
