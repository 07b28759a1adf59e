"""Asking a model what it can takes a while: who sits before it is told so, and nobody else."""

import argparse
import io
from types import SimpleNamespace

import pytest

from legion_core.api.types import ModelFacts, ModelOffer, ModelTrial, ProviderRow
from legion_core.surfaces.cli.commands.provider_models import model
from legion_core.surfaces.cli.outcome import Setting

ROW = ProviderRow(name="box", kind="vllm", tier="fleet", models=(ModelOffer(id="m"),))
FOUND = ModelTrial(model="m", findings=(), suggested=ModelFacts(model="m"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("err", "is_told"), [(Terminal(), True), (io.StringIO(), False)])
def test_a_wait_is_announced_on_a_terminal_alone(err: io.StringIO, is_told: bool) -> None:
    backend = SimpleNamespace(providers=lambda: (ROW,), try_model=lambda name, model: FOUND)
    out = io.StringIO()
    setting = Setting({}, False, None, out=out, err=err, _backend=backend)  # type: ignore[arg-type]

    model(setting, argparse.Namespace(verb="try", name="box", model="m", save=False))

    assert ("some seconds" in err.getvalue()) is is_told
    assert not out.getvalue()
