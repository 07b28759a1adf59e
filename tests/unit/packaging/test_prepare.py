"""The set-up script: which Python it takes, what it says where none will do, what it does only once."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "packaging" / "prepare.py"


@pytest.fixture
def prepare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_under_test", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def _only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", str(folder))


def test_a_shim_that_refuses_to_run_is_passed_over(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "with a space"
    _program(tools, "python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    _program(tools, "python3.12", "echo 3 12")
    _only(tools, monkeypatch)
    assert prepare.choose_python() == (str(tools / "python3.12"), (3, 12))


def test_a_python3_out_of_range_is_named_in_one_sentence(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "bin", "python3", "echo 3 9")
    _only(tmp_path / "bin", monkeypatch)
    with pytest.raises(
        prepare.Stop, match=r"^Legion Workbench needs Python 3\.11, 3\.12 or 3\.13; here python3 is 3\.9\.$"
    ):
        prepare.choose_python()


def test_no_python_at_all_is_one_sentence_too(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only(tmp_path / "empty", monkeypatch)
    with pytest.raises(prepare.Stop, match="none was found here"):
        prepare.choose_python()


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)]
)
def test_the_range_is_three_eleven_to_three_thirteen(
    prepare: ModuleType, version: tuple[int, int], fits: bool
) -> None:
    assert prepare.is_in_range(version) is fits


def test_the_script_can_be_read_by_python_three_eight() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_without_root_or_sudo_the_one_line_to_run_is_printed(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _program(tmp_path / "bin", "apt-get", "exit 100")
    _program(tmp_path / "bin", "sudo", "exit 1")
    _only(tmp_path / "bin", monkeypatch)
    monkeypatch.setattr(prepare.os, "geteuid", lambda: 1000)
    assert prepare.apt_install(["libegl1", "xvfb"]) is False
    assert (
        "    sudo apt-get update && sudo apt-get install -y --no-install-recommends libegl1 xvfb\n"
        in capsys.readouterr().out
    )


def test_as_root_a_stale_package_list_is_refreshed_once(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    _program(
        tmp_path / "bin",
        "apt-get",
        f'echo "$@" >> "{log}"; case "$*" in *update*) : > "{tmp_path}/fresh";; esac; test -e "{tmp_path}/fresh"',
    )
    _program(tmp_path / "bin", "env", 'shift; exec "$@"')
    _only(tmp_path / "bin", monkeypatch)
    monkeypatch.setattr(prepare.os, "geteuid", lambda: 0)
    assert prepare.apt_install(["libegl1"]) is True
    assert [line.split()[3] for line in log.read_text(encoding="utf-8").splitlines()] == [
        "install",
        "update",
        "install",
    ]


def test_a_moved_environment_is_made_anew(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "STAMP", tmp_path / "prepared.json")
    prepare.write_stamp({"uv": "1"})
    assert prepare.read_stamp()["uv"] == "1"
    monkeypatch.setattr(prepare, "ROOT", tmp_path / "elsewhere")
    assert prepare.read_stamp() == {}


def test_a_damaged_stamp_counts_as_none(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "STAMP", tmp_path / "prepared.json")
    prepare.STAMP.write_text("{", encoding="utf-8")
    assert prepare.read_stamp() == {}


def test_each_step_runs_once_until_its_lock_changes(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(prepare, "STAMP", tmp_path / "prepared.json")
    monkeypatch.setattr(prepare, "make_venv", lambda target: prepare.read_stamp())
    monkeypatch.setattr(prepare, "bring", lambda command, why: ran.append(why))
    monkeypatch.setattr(prepare, "missing_packages", lambda target: [])
    prepare.prepare("run")
    first = len(ran)
    prepare.prepare("run")
    assert len(ran) == first == 4
    prepare.prepare("test")
    assert ran[first:] == ["Installing the packages that check and test it"]
    stamp = prepare.read_stamp()
    prepare.write_stamp({**stamp, "model": "of another lock"})
    prepare.prepare("run")
    assert ran[-1] == "Installing the starter model (98 MB)"


def test_make_says_so_where_there_is_no_python(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "make", "echo"):
        found = next(
            Path(folder) / name
            for folder in [*os.defpath.split(":"), "/usr/bin"]
            if (Path(folder) / name).exists()
        )
        (tools / name).symlink_to(found)
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text(encoding="utf-8"), encoding="utf-8")
    run = subprocess.run(
        ["make", "run"], cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "Legion Workbench needs Python 3.11, 3.12 or 3.13; none was found here." in run.stderr


def test_the_script_is_quick_where_all_is_done() -> None:
    """Counted in imports, not in seconds: nothing but the standard library's small parts."""
    program = f"import sys, runpy; runpy.run_path({str(SCRIPT)!r}); print(len(sys.modules))"
    run = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 150


def test_without_an_administrator_the_engines_library_goes_into_the_environment(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    _program(tmp_path / "bin", "apt-get", 'case "$*" in *download*) : > libgomp1_12_amd64.deb;; esac')
    _program(
        tmp_path / "bin",
        "dpkg-deb",
        'mkdir -p "$3/usr/lib"; echo elf > "$3/usr/lib/libgomp.so.1.0.0"; ln -s libgomp.so.1.0.0 "$3/usr/lib/libgomp.so.1"',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(prepare, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(prepare, "loads", lambda _: False)
    assert prepare.bring_openmp()
    assert (tmp_path / ".venv" / "lib" / "libgomp.so.1").read_text(encoding="utf-8") == "elf\n"
    assert "libgomp.so.1" in (site / "openmp.pth").read_text(encoding="utf-8")


def test_where_the_library_cannot_be_fetched_nothing_is_left(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    _program(tmp_path / "bin", "apt-get", "exit 100")
    _program(tmp_path / "bin", "dpkg-deb", "exit 0")
    _only(tmp_path / "bin", monkeypatch)
    monkeypatch.setattr(prepare, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(prepare, "loads", lambda _: False)
    assert not prepare.bring_openmp()
    assert list(site.iterdir()) == []


@pytest.mark.parametrize(
    ("display", "missing", "words", "said"),
    [
        (":0", [], [], ""),
        ("", [], ["start"], "No display here, so the engine starts without a window."),
        (":0", ["libEGL.so.1"], ["start"], "Qt lacks libEGL.so.1, so the engine starts without a window."),
    ],
)
def test_the_window_opens_where_it_can_and_else_the_engine_starts(
    prepare: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    display: str,
    missing: list[str],
    words: list[str],
    said: str,
) -> None:
    became: list[str] = []
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(prepare, "missing_libraries", lambda: missing)
    monkeypatch.setattr(prepare.os, "chdir", lambda _: None)
    monkeypatch.setattr(prepare.os, "execv", lambda _, command: became.extend(command))
    prepare.launch()
    assert became[0].endswith("/.venv/bin/legion")
    assert became[1:] == words
    assert capsys.readouterr().out.strip() == said


def test_a_command_that_fails_stops_with_one_sentence(
    prepare: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: str) -> None:
        raise prepare.Stop("Installing x failed; the lines above say why.")

    monkeypatch.setattr(prepare, "prepare", fails)
    assert prepare.main(["test"]) == 1
    assert capsys.readouterr().err == "Installing x failed; the lines above say why.\n"


def test_a_server_known_to_the_systems_certificates_only_is_asked_with_those(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(prepare.SYSTEM_CERTS, raising=False)
    tools = tmp_path / "bin"
    _program(
        tools,
        "uv",
        '[ "$UV_SYSTEM_CERTS" = 1 ] || { echo "invalid peer certificate: UnknownIssuer" >&2; exit 2; }',
    )
    with monkeypatch.context() as patched:
        patched.setenv(prepare.SYSTEM_CERTS, "")  # so that what the script sets goes away again
        patched.delenv(prepare.SYSTEM_CERTS)
        prepare.bring([str(tools / "uv")], "Installing")
        prepare.bring([str(tools / "uv")], "Installing")
    assert capfd.readouterr().err == ""


def test_another_failure_of_an_installer_is_told_once_in_its_own_words(
    prepare: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _program(tmp_path / "bin", "uv", 'echo "no such host" >&2; exit 2')
    with pytest.raises(prepare.Stop, match="Installing failed"):
        prepare.bring([str(tmp_path / "bin" / "uv")], "Installing")
    assert capfd.readouterr().err == "no such host\n"
