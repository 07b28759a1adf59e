"""What is said of a model, written into the configuration: in every form the file may have, and nothing else touched."""

from pathlib import Path

import pytest

from legion_core.kernel.config import describe_model, forget_model, parse
from legion_core.kernel.errors import NotFound
from legion_core.kernel.settings_schema import Model

SAID = Model(id="m1", context=32_768, capabilities=("streaming", "tools"))

ASKED = """# mine
[[gateway.instances]]
name = "box"  # below the stairs
kind = "vllm"
base_url = "http://127.0.0.1:9001/v1"

[[gateway.instances]]
name = "other"
kind = "ollama"

[chat]
model = "m1"
"""
LISTED = ASKED.replace(
    '\n\n[[gateway.instances]]\nname = "other"',
    '\n[[gateway.instances.models]]\nid = "m1"  # the quick one\ncontext = 4096\nprice = { input = 1.0, output = 2.0 }\n'
    '[[gateway.instances.models]]\nid = "m0"\n\n[[gateway.instances]]\nname = "other"',
)
INLINE = """
gateway.instances = [{name = "other", kind = "ollama"}, {name = "box", kind = "vllm"}]
"""
INLINE_MODELS = """
[[gateway.instances]]
name = "box"
kind = "vllm"
models = [{id = "m0"}, {id = "m1", context = 4096}]
"""


def models_of(path: Path, name: str = "box") -> tuple[Model, ...]:
    instances = parse(path.read_text(encoding="utf-8")).gateway.instances
    return next(instance.models for instance in instances if instance.name == name)


@pytest.mark.parametrize("text", [ASKED, LISTED, INLINE, INLINE_MODELS])
def test_what_is_said_is_in_the_file_and_everything_else_as_it_was(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    before = parse(text)

    describe_model(path, "box", SAID)

    assert next(model for model in models_of(path) if model.id == "m1") == SAID
    after = parse(path.read_text(encoding="utf-8"))
    box, was = (
        next(each for each in config.gateway.instances if each.name == "box") for config in (after, before)
    )
    assert box.discover is (not was.models)
    assert [model for model in box.models if model.id != "m1"] == [
        each for each in was.models if each.id != "m1"
    ]
    assert after.chat == before.chat
    assert [each for each in after.gateway.instances if each.name != "box"] == [
        each for each in before.gateway.instances if each.name != "box"
    ]
    for line in text.splitlines():
        if "#" in line:
            assert line in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [ASKED, INLINE])
def test_what_is_forgotten_is_gone_from_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    describe_model(path, "box", SAID)
    describe_model(path, "box", Model(id="m2", context=1))

    forget_model(path, "box", "m1")
    assert models_of(path) == (Model(id="m2", context=1),)
    forget_model(path, "box", "m2")
    forget_model(path, "box", "m2")
    assert models_of(path) == ()


@pytest.mark.parametrize("text", [LISTED, INLINE_MODELS])
def test_a_model_that_was_listed_stays_listed_when_what_was_said_is_forgotten(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")

    forget_model(path, "box", "m1")
    forget_model(path, "box", "never-listed")

    assert {model.id: model for model in models_of(path)} == {"m0": Model(id="m0"), "m1": Model(id="m1")}


def test_an_instance_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(ASKED, encoding="utf-8")
    with pytest.raises(NotFound) as refused:
        describe_model(path, "cellar", SAID)
    assert "box, other" in refused.value.hint
    assert path.read_text(encoding="utf-8") == ASKED
