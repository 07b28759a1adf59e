"""A Debian with Python, git and make and nothing else: do `make run` and `make test` do everything there?

    python -m benchmarks.bare_debian [--suite bookworm] [--keep]

Builds the system with debootstrap in a folder of its own, clones the committed checkout into it and types what a
person would type, as root of that system: `make run` without a display, `make test`, `make run` with a display. Each
step must end as the README says it does. The last line is one JSON object; `failures` counts what did not.

Needs root and `apt-get install debootstrap`. The network is the host's, its certificates too; nothing else of the host
is seen in there, and the folder goes away at the end.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path.home() / ".cache" / "legion-bare"
BROUGHT = ("ca-certificates", "git", "make", "python3", "python3-venv")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
HOME = "/home/me"
INSIDE = f"{HOME}/legion-workbench"
READY_S, TEST_S, WINDOW_S, STOP_S = 900, 3000, 120, 60
# What tells the package managers where to look and whom to trust.
REGISTRY_WORDS = re.compile(r"(?i)^(pip_|uv_|ssl_cert|requests_ca|curl_ca|git_ssl|https?_proxy|no_proxy)")


def base_system(suite: str) -> Path:
    """The bare system as a tar file, built once for a suite."""
    kept = CACHE / f"{suite}.tar"
    if kept.exists():
        return kept
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        include = "--include=" + ",".join(BROUGHT)
        subprocess.run(["debootstrap", "--variant=minbase", include, suite, folder], check=True)
        subprocess.run(["tar", "-C", folder, "--one-file-system", "-cf", f"{kept}.new", "."], check=True)
    Path(f"{kept}.new").rename(kept)
    return kept


@contextmanager
def unpacked(suite: str, *, keep: bool) -> Iterator[Path]:
    """A fresh copy of the bare system that holds a clone of the checkout; gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix=f"{suite}-", dir=CACHE))
    try:
        subprocess.run(["tar", "-C", str(place), "-xf", str(base_system(suite))], check=True)
        for name in ("/etc/resolv.conf", "/etc/hosts", str(CERTIFICATES)):
            if Path(name).exists():
                shutil.copyfile(name, place / name.lstrip("/"))
        clone = ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(place / INSIDE.lstrip("/"))]
        subprocess.run(clone, check=True)
        yield place
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


def words_inside(place: Path, line: str) -> list[str]:
    """The command that runs a shell line in the system, with processes and mounts of its own."""
    mounts = "mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs tmpfs tmp"
    step = f"cd {place} && {mounts} && exec chroot . /bin/sh -c 'cd {INSIDE} && exec \"$@\"' sh {line}"
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", step]


def surroundings(**more: str) -> dict[str, str]:
    """The environment of a fresh log-in, and what leads to the package registries."""
    leads = {name: value for name, value in os.environ.items() if REGISTRY_WORDS.match(name)}
    leads.pop("PIP_FIND_LINKS", None)
    home = {"HOME": HOME, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return {**leads, **home, "LANG": "C.UTF-8", "TERM": "dumb", **more}


def free_port() -> int:
    """A port nobody holds now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def ask(port: int, token: str) -> str:
    """The local model's answer to one question, over the address `make run` printed."""
    question = {"model": "auto", "max_tokens": 24, "messages": [{"role": "user", "content": "Say hello."}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(question).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=READY_S) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def is_ready(port: int) -> bool:
    """Whether the engine takes requests."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def ended(running: subprocess.Popen[str], place: Path) -> int | str:
    """How `make run` ends when the user stops it."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            is_ours = os.readlink(folder / "root") == str(place)
        except OSError:
            continue
        if is_ours and b"/bin/legion" in words:
            os.kill(int(folder.name), signal.SIGINT)
    try:
        return running.wait(STOP_S)
    except subprocess.TimeoutExpired:
        running.kill()
        return f"still there after {STOP_S} s"


def run_headless(place: Path) -> dict[str, Any]:
    """`make run` where there is no display: the engine serves, the model answers, Ctrl+C ends it."""
    port = free_port()
    began_s = time.monotonic()
    running = subprocess.Popen(
        words_inside(place, "make run"), env=surroundings(LEGION_PORT=str(port)), text=True
    )
    while not is_ready(port):
        if running.poll() is not None or time.monotonic() - began_s > READY_S:
            running.kill()
            return {"failure": "`make run` did not get ready", "exit": running.poll()}
        time.sleep(0.2)
    ready_s = round(time.monotonic() - began_s, 1)
    token = next((place / HOME.lstrip("/")).rglob("legion*/token")).read_text(encoding="utf-8").strip()
    said = ask(port, token)
    exit_status = ended(running, place)
    failure = "" if said.strip() else "the model said nothing"
    return {"ready_s": ready_s, "said": said, "exit": exit_status, "failure": failure}


def run_tests(place: Path) -> dict[str, Any]:
    """`make test`: its exit status, and what pytest counted."""
    began_s = time.monotonic()
    done = subprocess.run(
        words_inside(place, "make test"),
        env=surroundings(),
        text=True,
        capture_output=True,
        timeout=TEST_S,
        check=False,
    )
    sys.stderr.write(done.stdout[-6000:] + done.stderr[-6000:])
    counted = {
        word: sum(map(int, re.findall(rf"(\d+) {word}", done.stdout)))
        for word in ("passed", "failed", "skipped")
    }
    failure = (
        "" if done.returncode == 0 and counted["passed"] else f"`make test` ended with {done.returncode}"
    )
    return {
        **counted,
        "exit": done.returncode,
        "took_s": round(time.monotonic() - began_s),
        "failure": failure,
    }


# The X server takes a number nobody has; then a window manager, `make run`, and a hand on the keyboard.
WINDOW = f"""
Xvfb -displayfd 3 -nolisten tcp 3>{HOME}/display &
until [ -s {HOME}/display ]; do sleep 0.1; done
export DISPLAY=":$(cat {HOME}/display)"
openbox &
make run & workbench=$!
for i in $(seq {WINDOW_S}); do
  title=$(xdotool search --onlyvisible --name "^Legion Workbench" getwindowname 2>/dev/null)
  [ -n "$title" ] && break
  sleep 1
done
echo "window: $title"
xdotool search --onlyvisible --name "^Legion Workbench" windowactivate --sync key --clearmodifiers Escape ctrl+q
wait $workbench
echo "ended with $?"
"""


def run_window(place: Path) -> dict[str, Any]:
    """`make run` where there is a display: the window opens, and Ctrl+Q closes it."""
    script = place / HOME.lstrip("/") / "window.sh"
    script.write_text(WINDOW, encoding="utf-8")
    began_s = time.monotonic()
    done = subprocess.run(
        words_inside(place, f"sh {HOME}/window.sh"),
        env=surroundings(LEGION_PORT=str(free_port())),
        text=True,
        capture_output=True,
        timeout=WINDOW_S * 3,
        check=False,
    )
    sys.stderr.write(done.stdout + done.stderr[-3000:])
    failure = "" if "ended with 0" in done.stdout else "the window did not open and close"
    return {"took_s": round(time.monotonic() - began_s, 1), "exit": done.returncode, "failure": failure}


def main() -> int:
    """Run the three steps; the exit status is 1 where one failed and 2 where this machine cannot try."""
    parser = argparse.ArgumentParser(description="Try the set-up on a bare Debian.")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--keep", action="store_true", help="leave the system's folder behind")
    given = parser.parse_args()
    if os.geteuid() or not shutil.which("debootstrap"):
        print("Needs root and debootstrap (apt-get install debootstrap).", file=sys.stderr)
        return 2
    with unpacked(given.suite, keep=given.keep) as place:
        steps = {"run": run_headless(place), "test": run_tests(place), "window": run_window(place)}
    failures = [f"{name}: {step['failure']}" for name, step in steps.items() if step["failure"]]
    print(json.dumps({"failures": len(failures), "why": failures, "suite": given.suite, **steps}))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
