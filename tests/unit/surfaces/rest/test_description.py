"""The description is made from the route table, so it must be valid and whole."""

import json
import re

import msgspec
import pytest

from legion_core.surfaces.rest.openapi import describe
from legion_core.surfaces.rest.routes import operations
from tests.support.aio import run
from tests.unit.surfaces.raw import Answer, ask, serving

TABLE = operations()


def served() -> dict:
    async def work() -> Answer:
        async with serving() as here:
            return await ask(here, "GET", "/openapi.json")

    return json.loads(run(work()).body)


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    paths = served()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    routes = {(each.method, re.sub(r":path\}", "}", each.path)) for each in TABLE}

    assert described == routes


def test_every_operation_has_a_name_of_its_own_and_an_example() -> None:
    names = [operation.name for operation in TABLE]

    assert len(set(names)) == len(names)
    for operation in TABLE:
        assert operation.example is not None, operation.name
        assert (operation.body is None) == (operation.body_example is None), operation.name


def test_every_reference_leads_somewhere() -> None:
    document = served()
    text = json.dumps(document)
    for name in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert name in document["components"]["schemas"], name


@pytest.mark.parametrize(
    "operation", [each for each in TABLE if each.answer is not None], ids=lambda o: o.name
)
def test_every_example_is_of_the_type_it_shows(operation: object) -> None:
    encoded = msgspec.json.encode(operation.example)  # type: ignore[attr-defined]

    msgspec.json.decode(encoded, type=operation.answer)  # type: ignore[attr-defined]


def test_only_liveness_and_readiness_are_described_as_open() -> None:
    paths = describe(TABLE)["paths"]
    open_paths = {path for path, methods in paths.items() if methods.get("get", {}).get("security") == []}

    assert open_paths == {"/healthz", "/readyz"}
