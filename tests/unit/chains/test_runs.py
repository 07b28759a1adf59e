"""Chains on the real engine: what runs, with what, and in which order it may end."""

from pathlib import Path

from tests.support.aio import run
from tests.unit.chains.drive import bench, told


def test_a_task_leads_to_the_next_with_its_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            view = await on.walk(
                {
                    "get": {"do": "give", "args": {"value": "{{ input.word }}"}},
                    "tell": {"do": "echo", "args": {"value": "say {{ result.value }}"}},
                },
                ["get tell"],
                {"word": "hello"},
            )
            assert view.status == "succeeded"
            assert told(view) == {"get": "succeeded", "tell": "succeeded"}
            assert view.result == "say hello"
            assert on.steps.calls == [("give", "hello"), ("echo", "say hello")]

    run(scenario())
