from types import SimpleNamespace

import pytest

from app.viewmodels.providers import ProvidersViewModel, able_words, circuit_pill
from legion_core.api.types import Capability, ModelOffer, ProviderRow
from tests.gui.conftest import Stage


@pytest.fixture
def providers(stage: Stage) -> ProvidersViewModel:
    made = ProvidersViewModel(stage.bridge)
    stage.connect()
    made.visit()
    return made


def begin(providers: ProvidersViewModel, kind: str = "openai") -> None:
    providers.begin_form(kind)


def test_the_form_begins_with_the_usual_address_and_a_free_name(providers: ProvidersViewModel) -> None:
    begin(providers)
    assert providers.base_url == "https://api.openai.com/v1"
    assert providers.name == "openai"
    assert providers.form.errors == {"key": "OpenAI needs a key."}


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("name", "", "Give it a name, such as box-a."),
        ("name", "Box A", "Use lower-case letters, digits, dots and dashes."),
        ("name", "openai-main", "There is a provider openai-main already."),
        ("base_url", "", "Enter the address, such as http://box-a:9001/v1."),
        ("base_url", "htp://box-a:9001", "Not an address. Start with http:// or https://"),
    ],
)
def test_each_fault_is_said_at_its_field(
    providers: ProvidersViewModel, field: str, value: str, error: str
) -> None:
    begin(providers)
    providers.edit_form(**{field: value})
    assert providers.form.errors[field] == error
    assert not providers.form.can_test


def test_only_what_was_tested_as_it_stands_can_be_saved(stage: Stage, providers: ProvidersViewModel) -> None:
    begin(providers)
    providers.edit_form(key="right")
    assert not providers.form.can_save
    providers.save_form()
    assert not [call for call in stage.legion.providers.calls if call[0] == "add"]
    providers.test_form()
    assert providers.form.is_ok
    assert providers.form.can_save
    providers.edit_form(key="right ")  # blanks around a key are nothing
    assert providers.form.can_save
    providers.edit_form(key="another")
    assert not providers.form.can_save


def test_a_failed_test_says_why_and_saves_nothing(stage: Stage, providers: ProvidersViewModel) -> None:
    begin(providers)
    providers.edit_form(key="wrong")
    providers.test_form()
    assert not providers.form.is_ok
    assert providers.form.result == "The key was refused. Check that it is complete."
    assert not providers.form.can_save


def test_words_that_change_while_they_are_tested_do_not_count_as_tested(
    stage: Stage, providers: ProvidersViewModel
) -> None:
    begin(providers)
    providers.edit_form(key="right")
    stage.spawner.hold()
    providers.test_form()
    assert providers.form.is_testing
    providers.edit_form(key="other")
    stage.spawner.release()
    assert not providers.form.can_save
    assert providers.form.result == ""


def test_saving_keeps_the_provider_and_forgets_the_key(stage: Stage, providers: ProvidersViewModel) -> None:
    saved: list[str] = []
    providers.saved.connect(saved.append)
    begin(providers)
    providers.edit_form(name="mine", key="right")
    providers.test_form()
    providers.save_form()
    assert saved == ["mine"]
    assert providers._key == ""
    assert "mine" in [row.name for row in providers.rows]
    added = next(call for call in stage.legion.providers.calls if call[0] == "add")
    assert added[3] is True


def test_untested_is_saved_only_when_said_so(stage: Stage, providers: ProvidersViewModel) -> None:
    begin(providers)
    providers.edit_form(name="mine", key="wrong")
    providers.test_form()
    providers.save_form(untested=True)
    added = next(call for call in stage.legion.providers.calls if call[0] == "add")
    assert added[3] is False


def test_a_server_of_ones_own_needs_no_key_for_a_paid_providers_protocol(
    providers: ProvidersViewModel,
) -> None:
    begin(providers)
    providers.edit_form(base_url="http://box-a:9001/v1")
    assert providers.form.errors == {}


def test_testing_an_instance_keeps_its_result_beside_it(providers: ProvidersViewModel) -> None:
    providers.test("openai-main")
    assert providers.results["openai-main"].is_ok
    assert providers.testing == frozenset()


def test_a_reset_closes_the_circuit(stage: Stage, providers: ProvidersViewModel) -> None:
    assert circuit_pill(providers.rows[1]) == ("Circuit open", "err", "circle-x")
    providers.reset("openai-main")
    stage.deliver()
    assert circuit_pill(providers.rows[1]) == ("Ready", "ok", "circle-check")


def test_a_problem_is_said_before_the_circuit() -> None:
    assert circuit_pill(ProviderRow(name="x", kind="openai", tier="cloud", problem="No key."))[0] == "Problem"


def server(**more: object) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            "kind": "ollama",
            "title": "Ollama",
            "name": "ollama",
            "base_url": "http://127.0.0.1:11434",
            "version": "0.12",
            "models": ("qwen3", "phi4"),
            "needs_key": False,
            "is_added": False,
        }
        | more
    )


def test_a_family_that_needs_no_address_is_tested_without_one(providers: ProvidersViewModel) -> None:
    begin(providers, "mlx")
    assert providers.base_url == ""
    assert providers.form.errors == {}
    assert providers.form.can_test
    begin(providers, "vertex")
    assert providers.form.errors["base_url"] == "Enter the address, such as https://REGION.example/PROJECT."


def test_a_server_that_was_found_is_added_with_one_call_and_is_no_proposal_any_more(
    stage: Stage, providers: ProvidersViewModel
) -> None:
    stage.legion.providers.servers = (server(), server(base_url="http://127.0.0.1:1", is_added=True))
    stage.legion.providers.good_key = None  # type: ignore[assignment]
    providers.find()
    assert [row.name for row in providers.proposals] == ["ollama"]
    providers.add_found("http://127.0.0.1:11434")
    stage.deliver()
    add = next(call for call in stage.legion.providers.calls if call[0] == "add")
    assert (add[1].kind, add[1].base_url, add[2], add[3]) == ("ollama", "http://127.0.0.1:11434", None, True)
    assert providers.proposals == ()


def test_a_found_server_that_fails_its_test_is_not_added_and_says_why(
    stage: Stage, providers: ProvidersViewModel
) -> None:
    stage.legion.providers.servers = (server(),)
    providers.find()
    providers.add_found("http://127.0.0.1:11434")
    assert stage.refusals == ["The key was refused. Check that it is complete."]
    assert providers.adding == frozenset()
    assert len(providers.proposals) == 1


def test_a_found_server_that_wants_a_key_fills_the_form(stage: Stage, providers: ProvidersViewModel) -> None:
    stage.legion.providers.servers = (server(kind="openai", name="lm-studio", needs_key=True),)
    providers.find()
    providers.begin_found("http://127.0.0.1:11434")
    assert (providers.kind, providers.name, providers.base_url) == (
        "openai",
        "lm-studio",
        "http://127.0.0.1:11434",
    )


@pytest.mark.parametrize(
    ("more", "words"), [({"is_tripped": True}, "Tripped"), ({"is_draining": True}, "Draining")]
)
def test_what_was_done_by_hand_is_said(more: dict[str, bool], words: str) -> None:
    row = ProviderRow(name="a", kind="openai", tier="cloud", problem="x", **more)  # type: ignore[arg-type]
    assert circuit_pill(row)[0] == words


def test_a_model_says_how_much_it_holds_and_what_it_is_known_to_do() -> None:
    assert able_words(ModelOffer(id="m", context=32_768, capabilities=frozenset({"streaming"}))) == "32k"
    able = frozenset[Capability]({"streaming", "structured_output", "tools"})
    assert able_words(ModelOffer(id="m", context=131_072, capabilities=able)) == "128k, tools, JSON"
    assert able_words(ModelOffer(id="m", capabilities=frozenset({"embeddings"}))) == "vectors"


def test_a_pause_that_the_provider_asked_for_is_no_open_circuit() -> None:
    row = ProviderRow(name="box", kind="openai", tier="cloud", models=(), retry_in_s=12.0)
    assert circuit_pill(row) == ("Resting", "warn", "circle-pause")
