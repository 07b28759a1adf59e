"""The configuration: every fault at once with its line, comments kept, and never out of service."""

import contextlib
import os
import stat
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from legion_core.kernel import faults
from legion_core.kernel.config import (
    add_instance,
    find_field,
    from_words,
    get_value,
    load,
    parse,
    remove_instance,
    reset_value,
    schema,
    set_value,
)
from legion_core.kernel.config_check import FAULTS_MAX
from legion_core.kernel.errors import ConfigError, Conflict, InvalidInput, LegionError, NotFound
from legion_core.kernel.settings_schema import (
    Config,
    Field,
    Instance,
    Model,
    Price,
    SettingValue,
    fields,
)
from legion_core.kernel.toml_lines import lines_of

EXAMPLE = """\
mode = "lite"
[gateway]
[[gateway.instances]]
name = "box-a"
kind = "openai"            # anthropic openai bedrock …
base_url = "http://127.0.0.1:9001/v1"
api_key = "env://BOX_A_KEY"
tier = "direct"            # optional
[[gateway.instances.models]]
id = "m1"
context = 32768
capabilities = ["streaming", "tools", "vision", "thinking", "structured_output"]
continuation = "prefill"
price = { input = 3.0, output = 15.0, cache_read = 0.3, cache_write = 3.75 }   # USD per million tokens
[engine]
durability = "power"       # or "process"
[transport]
amqp_url = "keyring://amqp"
"""

MANY_FAULTS = """\
mode = "ful"
[gatway]
[[gateway.instances]]
name = "box a"
kind = "opnai"
base_url = "ftp://x"
api_key = "sk-proj-abcdefghijk"
[[gateway.instances.models]]
id = "m1"
context = "32768"
capabilities = ["tools", "vison"]
price = { input = 3.0 }

[[gateway.instances]]
name = "b"
kind = "openai"
[[gateway.instances]]
colour = 1
name = "b"
kind = "ollama"
[server]
port = 99999
[chat]
send_with_enter = 1
system_prompt = 1979-05-27
[appearance]
text_scale = nan
[transport]
amqp_url = "amqp://user:password@host"
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as told:
        parse(text)
    return list(told.value.faults)


def test_the_documented_example_reads_as_written() -> None:
    config = parse(EXAMPLE)
    assert config.mode == "lite"
    assert config.transport.amqp_url == "keyring://amqp"
    assert config.gateway.instances == (
        Instance(
            name="box-a",
            kind="openai",
            base_url="http://127.0.0.1:9001/v1",
            api_key="env://BOX_A_KEY",
            tier="direct",
            models=(
                Model(
                    id="m1",
                    context=32768,
                    capabilities=("streaming", "tools", "vision", "thinking", "structured_output"),
                    continuation="prefill",
                    price=Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75),
                ),
            ),
        ),
    )


def test_all_faults_are_told_at_once_each_with_its_line() -> None:
    found = faults_of(MANY_FAULTS)
    expected = [
        ("line 1: mode", "Did you mean 'full'?"),
        ("line 2: gatway", "Did you mean 'gateway'?"),
        ("line 4: gateway.instances[0].name", "'box a' cannot be used here"),
        ("line 5: gateway.instances[0].kind", "Did you mean 'openai'?"),
        ("line 6: gateway.instances[0].base_url", "is not a web address"),
        ("line 7: gateway.instances[0].api_key", "keyring://NAME"),
        (
            "line 10: gateway.instances[0].models[0].context",
            "expected a whole number, found text. Write it without quotes",
        ),
        ("line 11: gateway.instances[0].models[0].capabilities", "Did you mean 'vision'?"),
        ("line 12: gateway.instances[0].models[0].price", "'output' is missing"),
        ("line 18: gateway.instances[2].colour", "no such setting"),
        ("line 19: gateway.instances[2].name", "used twice; the first is gateway.instances[1]"),
        ("line 22: server.port", "between 0 and 65535"),
        ("line 24: chat.send_with_enter", "expected true or false, found a whole number"),
        ("line 25: chat.system_prompt", "expected text, found a date"),
        ("line 27: appearance.text_scale", "nan is not a number that can be used"),
        ("line 29: transport.amqp_url", "keyring://NAME"),
    ]
    assert len(found) == len(expected), found
    for line, (place, words) in zip(found, expected, strict=True):
        assert line.startswith(place), line
        assert words in line, line


@pytest.mark.requirement("rbac.secrets")
def test_a_secret_in_plain_text_is_refused_without_repeating_it() -> None:
    told = "\n".join(faults_of(MANY_FAULTS))
    assert "sk-proj-abcdefghijk" not in told
    assert "user:password" not in told
    for key in ("env://9x", "keyring://", "keyring://a b", "vault://", "secret"):
        assert faults_of(f'[[gateway.instances]]\nname="a"\nkind="openai"\napi_key="{key}"')
    parse('[transport]\namqp_url = "amqp://broker:5672/%2f"')
    assert (
        "user name or password"
        in faults_of('[[gateway.instances]]\nname="a"\nkind="openai"\nbase_url="http://me:word@host"')[0]
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mode = ", "line 1: this is not TOML"),
        ('mode = "lite"\n[chat\n', "line 2: this is not TOML"),
        ('mode = "lite"\nmode = "full"', "line 2: this is not TOML: cannot overwrite a value"),
        ("a" * 10, "this is not TOML"),
        ("gateway = 1", "expected a table, found a whole number"),
        ("[gateway]\ninstances = 3", "expected a list of tables"),
        ("[gateway]\ninstances = [3]", "gateway.instances[0]: expected a table"),
        ("[[gateway.instances]]", "'name' is missing"),
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("x = " + "9" * 5000, "cannot be read"),
        ("[server]\nport = 0x" + "f" * 5000, "a number of very many digits is out of range"),
        ("[appearance]\ntext_scale = 0x" + "f" * 5000, "a number of very many digits is out of range"),
        ("[appearance]\ntext_scale = 9", "between 0.8 and 2 ×"),
        ('[server]\nhost = ""', "cannot be used here"),
        ('[chat]\nmodel = "' + "x" * 400 + '"', "400 characters long; at most 300"),
        ('[chat]\nmodel = "a\\u0000b"', "NUL"),
        (
            '[[gateway.instances]]\nname="a"\nkind="ollama"\n[[gateway.instances.models]]\nid="m"\ncapabilities="x"',
            "a list of words",
        ),
        (
            '[[gateway.instances]]\nname="a"\nkind="ollama"\n[[gateway.instances.models]]\nid="m"\ncapabilities=[1]',
            "found a whole number in it",
        ),
        (
            '[[gateway.instances]]\nname="a"\nkind="ollama"\n[[gateway.instances.models]]\nid="m"\ncapabilities=["tools","tools"]',
            "twice",
        ),
        (
            '[[gateway.instances]]\nname="a"\nkind="ollama"\nmodels=[{id="m"},{id="m"}]',
            "line 4: gateway.instances[0].models[1].id: 'm' is used twice",
        ),
        (
            '[[gateway.instances]]\nname="a"\nkind="ollama"\nmodels=[{id="m", price={input=-1, output=1}}]',
            "at least 0 USD",
        ),
    ],
)
def test_every_kind_of_fault_has_its_words(text: str, words: str) -> None:
    assert words in faults_of(text)[0]


def test_a_file_of_faults_is_told_in_bounded_time() -> None:
    assert len(faults_of("\n".join(f"key_{number} = 1" for number in range(20_000)))) == FAULTS_MAX


def test_no_file_means_the_defaults_and_a_sound_one_becomes_the_good_copy(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert load(path, {}).config == Config()
    assert load(path, {}).origin == "defaults"
    path.write_text(EXAMPLE, encoding="utf-8")
    found = load(path, {})
    assert (found.config, found.origin, found.faults) == (parse(EXAMPLE), "file", ())
    assert found.error() is None
    assert found.source_lines["engine.durability"] == 16
    assert (tmp_path / "config.toml.good").read_text(encoding="utf-8") == EXAMPLE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        MANY_FAULTS.encode(),
        b"\xff\xfe\x00",
        b"\x00" * 300,
        b"mode = ",
        b"x" * (2 << 20),
        b'mode = "caf\xe9"',
    ],
)
def test_a_broken_file_leaves_the_last_good_one_in_force_and_is_not_touched(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    load(path, {})
    path.write_bytes(content)
    found = load(path, {})
    assert found.config == parse(EXAMPLE)
    assert found.origin == "good"
    assert found.faults
    assert found.error() is not None
    assert path.read_bytes() == content
    assert (tmp_path / "config.toml.good").read_text(encoding="utf-8") == EXAMPLE


def test_a_directory_or_an_unreadable_file_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    found = load(tmp_path / "config.toml", {})
    assert found.origin == "defaults"
    assert "cannot be read" in str(found.faults[0])


def test_variables_stand_above_the_file_and_a_bad_one_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('mode = "lite"\n[server]\nport = 5000\n', encoding="utf-8")
    env = {
        "LEGION_MODE": "full",
        "LEGION_PORT": " 6000 ",
        "LEGION_AMQP_URL": "amqp://user:password@host",
        "LEGION_LOG": "debug",
    }
    found = load(path, env)
    assert found.faults == ()
    assert found.config.mode == "full"
    assert found.config.server.port == 6000
    assert found.config.transport.amqp_url == "env://LEGION_AMQP_URL", "the password stays in the variable"
    assert found.config.advanced.log_level == "debug"
    assert found.from_environment["server.port"] == "LEGION_PORT"
    bad = load(path, {"LEGION_PORT": "many", "LEGION_MODE": "ful", "LEGION_LOG": ""})
    assert bad.config.server.port == 5000
    assert [str(fault).split(":")[0] for fault in bad.faults] == ["LEGION_MODE", "LEGION_PORT"]


def test_setting_one_value_keeps_comments_order_and_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    config = set_value(path, "engine.durability", "process")
    assert config.engine.durability == "process"
    text = path.read_text(encoding="utf-8")
    assert text == EXAMPLE.replace('durability = "power"  ', 'durability = "process"  ')
    set_value(path, "chat.send_with_enter", False)
    set_value(path, "appearance.text_scale", 1.5)
    assert path.read_text(encoding="utf-8").startswith(text)
    assert load(path, {}).config.appearance.text_scale == 1.5
    reset_value(path, "chat.send_with_enter")
    reset_value(path, "appearance.text_scale")
    assert load(path, {}).config == msgspec.structs.replace(parse(EXAMPLE), engine=config.engine)
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_value_that_does_not_fit_is_refused_and_the_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    wrong: list[tuple[str, SettingValue]] = [
        ("mode", "ful"),
        ("server.port", 70_000),
        ("server.port", "4567"),
        ("server.port", True),
        ("chat.send_with_enter", "yes"),
        ("transport.amqp_url", "hunter2"),
    ]
    for key, value in wrong:
        with pytest.raises(ConfigError) as told:
            set_value(path, key, value)
        assert told.value.faults[0].startswith(key)
    with pytest.raises(NotFound) as unknown:
        set_value(path, "chat.sent_with_enter", True)
    assert "chat.send_with_enter" in unknown.value.hint
    assert path.read_text(encoding="utf-8") == EXAMPLE


def test_a_broken_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MANY_FAULTS, encoding="utf-8")
    changes: list[Callable[[], object]] = [
        lambda: set_value(path, "mode", "full"),
        lambda: reset_value(path, "mode"),
        lambda: add_instance(path, Instance(name="x", kind="ollama")),
        lambda: remove_instance(path, "b"),
    ]
    for change in changes:
        with pytest.raises(ConfigError):
            change()
    assert path.read_text(encoding="utf-8") == MANY_FAULTS


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE, encoding="utf-8")

    def full(site: str) -> None:
        if site == "config.write":
            raise OSError(28, "No space left on device")

    faults.arm(full)
    try:
        with pytest.raises(ConfigError, match="could not be written"):
            set_value(path, "mode", "full")
    finally:
        faults.arm(None)
    assert path.read_text(encoding="utf-8") == EXAMPLE
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == ["config.toml"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "legion.toml"
    real.parent.mkdir()
    real.write_text(EXAMPLE, encoding="utf-8")
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    set_value(link, "mode", "full")
    assert link.is_symlink()
    assert parse(real.read_text(encoding="utf-8")).mode == "full"


@pytest.mark.parametrize(
    "start",
    [
        "",
        EXAMPLE,
        "[gateway]\n",
        '[gateway]\ninstances = [{ name = "in", kind = "vllm" }]\n',
        "[privacy]\nlocal_only = true # yes\n",
    ],
)
def test_instances_come_and_go_and_leave_the_rest_alone(tmp_path: Path, start: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(start, encoding="utf-8")
    before = parse(start)
    full = Instance(
        name="cloud",
        kind="anthropic",
        api_key="keyring://anthropic",
        tier="frontier",
        models=(
            Model(id="big", capabilities=("tools", "vision"), price=Price(input=3, output=15)),
            Model(id="small"),
        ),
    )
    plain = Instance(name="near", kind="ollama", base_url="http://127.0.0.1:11434")
    add_instance(path, full)
    set_value(path, "privacy.local_only", True)
    config = add_instance(path, plain)
    assert config.gateway.instances == (*before.gateway.instances, full, plain)
    with pytest.raises(Conflict):
        add_instance(path, plain)
    with pytest.raises(ConfigError):
        add_instance(path, Instance(name="bad", kind="openai", api_key="sk-plain"))
    remove_instance(path, "cloud")
    config = remove_instance(path, "near")
    assert config.gateway.instances == before.gateway.instances
    assert config.privacy.local_only
    with pytest.raises(NotFound):
        remove_instance(path, "cloud")
    for line in start.splitlines():
        if "#" in line:
            assert line.split("#")[1] in path.read_text(encoding="utf-8")


def test_every_leaf_is_told_to_a_person_and_its_default_fits() -> None:
    assert len({leaf.key for leaf in schema()}) == len(schema())
    for leaf in (*schema(), *fields(Instance), *fields(Model), *fields(Price)):
        assert leaf.title
        assert leaf.description.endswith("."), leaf.key
        assert leaf.choices or leaf.type != "choice"
    for leaf in schema():
        assert leaf.group, leaf.key
        assert not leaf.is_required
        assert get_value(Config(), leaf.key) == leaf.default
    assert find_field("server.port").needs_restart
    assert find_field("appearance.text_scale").minimum == 0.8
    assert find_field("mode").choices == ("lite", "full")
    assert find_field("transport.amqp_url").type == "secret"


def test_words_become_values_of_the_leafs_type() -> None:
    assert from_words("chat.send_with_enter", " Off ") is False
    assert from_words("server.port", "80") == 80
    assert from_words("appearance.text_scale", "1.5") == 1.5
    assert from_words("chat.system_prompt", " as it is ") == " as it is "
    for key, words in (
        ("server.port", "x"),
        ("chat.send_with_enter", "maybe"),
        ("appearance.text_scale", ""),
    ):
        with pytest.raises(InvalidInput, match=key):
            from_words(key, words)


def value_for(leaf: Field) -> st.SearchStrategy[SettingValue]:
    match leaf.type:
        case "bool":
            return st.booleans()
        case "int":
            return st.integers(int(leaf.minimum or 0), int(leaf.maximum or 10))
        case "float":
            return st.floats(leaf.minimum, leaf.maximum, allow_nan=False)
        case "choice":
            return st.sampled_from(leaf.choices)
        case "list":
            return st.lists(
                st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
                max_size=3,
                unique=True,
            ).map(tuple)
        case "secret":
            return st.sampled_from(["", "keyring://a/b", "env://A_B", "vault://x"])
        case _ if leaf.key == "server.host":
            return st.sampled_from(["127.0.0.1", "::1", "localhost"])
        case _:
            letters = st.characters(exclude_characters="\0", exclude_categories=("Cs",))
            return st.text(letters, max_size=50)


changes = st.lists(
    st.sampled_from(schema()).flatmap(lambda leaf: st.tuples(st.just(leaf.key), value_for(leaf))), max_size=8
)
# Every example syncs files to the disk: forty say what they can say, also where others run by the thousand.
tmp_use = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    ("before", "begins"), [("", "[server]\n"), ("\n", "[server]\n"), ("# mine\n", "# mine\n\n[server]\n")]
)
def test_the_first_value_of_an_empty_file_leaves_no_blank_line_above_it(
    tmp_path: Path, before: str, begins: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(before, encoding="utf-8")
    set_value(path, "server.port", 4811)
    assert path.read_text(encoding="utf-8") == f"{begins}port = 4811\n"


@given(changes)
@tmp_use
def test_whatever_is_set_reads_back_and_nothing_else_changes(
    tmp_path: Path, wanted: list[tuple[str, SettingValue]]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    for key, value in wanted:
        before = load(path, {}).config
        after = set_value(path, key, value)
        assert get_value(after, key) == value
        assert load(path, {}).config == after
        for leaf in schema():
            if leaf.key != key:
                assert get_value(after, leaf.key) == get_value(before, leaf.key)
    assert load(path, {}).config.gateway == parse(EXAMPLE).gateway


scalars = st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.none(), st.dates())
keys = st.one_of(
    st.sampled_from(
        ["mode", "gateway", "instances", "name", "kind", "models", "id", "price", "server", "port", "chat"]
    ),
    st.text(max_size=8),
)
documents = st.dictionaries(
    keys,
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)
    ),
    max_size=6,
)


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(str(key))} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    if isinstance(value, bool):
        return str(value).lower()
    return "0" if value is None else str(value)


@given(documents)
def test_no_document_of_any_shape_raises_anything_but_its_faults(document: dict[str, Any]) -> None:
    text = "\n".join(f"{as_toml(key)} = {as_toml(value)}" for key, value in document.items())
    found: tuple[str, ...] = ()
    try:
        parse(text)
    except ConfigError as error:
        found = error.faults
    whole = [line for line in found if "not TOML" not in line and "the file cannot" not in line]
    assert all(line.startswith("line ") for line in whole), whole


@given(st.binary(max_size=200), st.integers(0, len(EXAMPLE)), st.integers(0, 60))
@tmp_use
def test_no_damage_to_the_file_raises_and_the_good_copy_holds(
    tmp_path: Path, noise: bytes, at: int, cut: int
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    good = load(path, {}).config
    whole = EXAMPLE.encode()
    path.write_bytes(whole[:at] + noise + whole[at + cut :])
    found = load(path, {}, keep_good=False)
    assert found.config == good if found.faults else found.origin in ("file", "good")
    with contextlib.suppress(LegionError):
        set_value(path, "mode", "full")


@given(st.text(alphabet="abc.=[]{}\"'#\n ,1\\", max_size=60))
def test_lines_are_told_for_any_text_and_are_right_for_sound_ones(text: str) -> None:
    lines = lines_of(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    bare = {key for key in document if key.isalnum()}
    assert bare <= set(lines) | {name.partition("[")[0].partition(".")[0] for name in lines}


def test_reading_the_configuration_is_cheap_and_brings_in_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys, legion_core.kernel.config, pathlib\n"
        "legion_core.kernel.config.load(pathlib.Path('none.toml'), {})\n"
        "print(sorted(set(sys.modules) & {'tomlkit', 'apsw', 'keyring', 'cryptography', 'httpx', 'PySide6'}))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert output.stdout.strip() == "[]"
