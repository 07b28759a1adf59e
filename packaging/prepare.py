"""Makes the checkout ready: a virtual environment, the locked packages, the starter model, the system's libraries.

Run by the Makefile with whatever Python is at hand (3.8 or later, standard library only), so that a machine whose
Python is too old hears one sentence and not a traceback. What is done already is known by a stamp in the
environment, so that a second call takes a fraction of a second.

    prepare.py run      what the workbench needs, then starts it
    prepare.py check    what format, lint, types and the fast tests need
    prepare.py test     the same and what window tests need
    prepare.py bundle   what the packaged application is made of
"""

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "packaging" / "locks"
VENV = ROOT / ".venv"
STAMP = VENV / "prepared.json"
OLDEST, TOO_NEW = (3, 11), (3, 14)
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3")

# What Qt's platform plugins and the native engine load from the system, and the Debian package that brings it.
LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
}
OPENMP = "libgomp.so.1"
SYSTEM_CERTS = "UV_SYSTEM_CERTS"
# A private X server, a window manager and a hand on the keyboard for the window tests; a desktop's own keyring.
TEST_TOOLS = {
    "Xvfb": "xvfb",
    "openbox": "openbox",
    "xdotool": "xdotool",
    "dbus-run-session": "dbus",
    "gnome-keyring-daemon": "gnome-keyring",
}
BUNDLE_TOOLS = {"objdump": "binutils"}


class Stop(Exception):
    """Ends the preparation with one sentence for the user."""


def say(text):
    """One line of progress."""
    print(text, flush=True)


def version_of(python):
    """`(major, minor)` of an interpreter, or None if it does not run: a shim may exist and still refuse."""
    try:
        answer = subprocess.run(
            [str(python), "-c", "import sys; print(*sys.version_info[:2])"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        major, minor = answer.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def is_in_range(version):
    """Whether the workbench runs on this version."""
    return version is not None and OLDEST <= version < TOO_NEW


def choose_python():
    """The first interpreter that runs and is in range."""
    found = []
    for name in CANDIDATES:
        path = shutil.which(name)
        version = version_of(path) if path else None
        if is_in_range(version):
            return path, version
        if version:
            found.append(f"{name} is {version[0]}.{version[1]}")
    seen = "; here " + ", ".join(found) if found else "; none was found here"
    raise Stop(f"Legion Workbench needs Python 3.11, 3.12 or 3.13{seen}.")


def venv_python():
    """The environment's interpreter."""
    return VENV / "bin" / "python"


def digest(*parts):
    """A short fingerprint of files and words."""
    mark = hashlib.sha256()
    for part in parts:
        mark.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
        mark.update(b"\0")
    return mark.hexdigest()[:16]


def read_stamp():
    """What was done to this environment, by step; empty if there is none or it was moved here from elsewhere."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if stamp.get("root") == str(ROOT) else {}


def write_stamp(stamp):
    """Written after every step, so that an interrupted preparation goes on where it stopped."""
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(json.dumps(dict(stamp, root=str(ROOT)), indent=1), encoding="utf-8")
    os.replace(str(fresh), str(STAMP))


def loads(library):
    """Whether the system's loader finds a shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def missing_libraries():
    """The shared libraries of `LIBRARIES` that this machine lacks; none are looked for outside Linux."""
    return [name for name in LIBRARIES if not loads(name)] if sys.platform.startswith("linux") else []


def missing_packages(target):
    """Debian packages that would bring what is missing for `target`."""
    packages = [LIBRARIES[name] for name in missing_libraries()]
    tools = {"test": TEST_TOOLS, "bundle": BUNDLE_TOOLS}.get(target, {})
    if sys.platform.startswith("linux"):
        packages += [package for tool, package in tools.items() if not shutil.which(tool)]
        if target == "bundle":
            packages += missing_shared_python()
    return packages


def missing_shared_python():
    """Debian's interpreter is linked statically; the packaged application needs the library beside it."""
    major, minor = version_of(venv_python()) or sys.version_info[:2]
    real = os.path.realpath(str(venv_python()))
    is_debians = real.startswith("/usr/bin/") and not loads(f"libpython{major}.{minor}.so.1.0")
    return [f"libpython{major}.{minor}"] if is_debians else []


def lacks_ensurepip(python):
    """Debian keeps `ensurepip` in a package of its own, without which a venv has no pip."""
    return subprocess.run(
        [python, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL, check=False
    ).returncode


def apt_install(packages):
    """Install Debian packages as root or by a sudo that asks nothing; False, after the line to run, if it cannot."""
    if not packages:
        return True
    by_hand = "apt-get install -y --no-install-recommends " + " ".join(packages)
    if not shutil.which("apt-get"):
        say(f"This machine lacks {', '.join(packages)} (Debian's names); please install what brings them.")
        return False
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and (not shutil.which("sudo") or quiet(["sudo", "-n", "true"])):
        say(f"Some system packages are missing. Please run:\n    sudo apt-get update && sudo {by_hand}")
        return False
    say(f"Installing system packages: {' '.join(packages)}")
    command = [
        *prefix,
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qq",
        "-o",
        "DPkg::Lock::Timeout=120",
    ]
    install = [*command, "install", "-y", "--no-install-recommends", *packages]
    # The package lists may be absent or old, so a failure gets one fresh look.
    if quiet(install) and (quiet([*command, "update"]) or shown(install)):
        say(f"The system packages could not be installed. Please run:\n    {by_hand}")
        return False
    return True


def quiet(command, folder=None):
    """The exit status of a command whose words nobody needs."""
    silent = subprocess.DEVNULL
    return subprocess.run(
        command, stdin=silent, stdout=silent, stderr=silent, cwd=folder, check=False
    ).returncode


def shown(command):
    """The exit status of a command that speaks for itself."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def must(command, why):
    """Run a command that has to succeed."""
    if shown(command):
        raise Stop(f"{why} failed; the lines above say why.")


def uv(*words):
    """Run the environment's own uv on the environment."""
    return [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(venv_python()), *words]


def bring(command, why):
    """Run an installer that has to succeed; where only the system's certificates know the server, with those.

    pip asks the system by itself, uv only if it is told; behind a proxy that reads along nothing else works.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode and "UnknownIssuer" in done.stderr and SYSTEM_CERTS not in os.environ:
        os.environ[SYSTEM_CERTS] = "1"
        bring(command, why)
        return
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise Stop(f"{why} failed; the lines above say why.")


def make_venv(target):
    """The environment, and the stamp of what is in it: kept if its interpreter runs, is in range and stands here."""
    stamp = read_stamp()
    version = version_of(venv_python()) if venv_python().exists() else None
    if is_in_range(version) and (stamp or not STAMP.exists()):
        # One made by hand, or by a tool that leaves pip out, is kept and completed.
        if "uv" not in stamp and quiet([str(venv_python()), "-c", "import pip"]):
            must([str(venv_python()), "-m", "ensurepip"], "Putting pip into .venv")
        return stamp
    python, (major, minor) = choose_python()
    if lacks_ensurepip(python) and not apt_install(
        [f"python{major}.{minor}-venv", *missing_packages(target)]
    ):
        raise Stop(f"Python {major}.{minor} cannot make a virtual environment yet.")
    say(f"Making .venv with Python {major}.{minor}")
    must([python, "-m", "venv", "--clear", str(VENV)], "Making the virtual environment")
    return {}


def steps(target):
    """`(name, fingerprint, words, command)` of all that `target` needs inside the environment, in order."""
    locked = ["--require-hashes", "-r"]
    bootstrap, build, runtime = LOCKS / "bootstrap.txt", LOCKS / "build.txt", LOCKS / "requirements.txt"
    model, dev = LOCKS / "starter-model.txt", LOCKS / "dev.txt"
    pip = [str(venv_python()), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    yield "uv", digest(bootstrap), "the installer", [*pip, *locked, str(bootstrap)]
    packages = uv(*locked, str(runtime), "-r", str(build))
    yield "runtime", digest(runtime, build), "the packages the workbench runs on", packages
    if target != "run":
        yield "dev", digest(runtime, dev), "the packages that check and test it", uv(*locked, str(dev))
    own = uv("--no-build-isolation", "--no-deps", "--editable", str(ROOT))
    yield "project", digest(ROOT / "pyproject.toml"), "the workbench itself", own
    starter = uv("--no-deps", *locked, str(model))
    yield "model", digest(model), "the starter model (98 MB)", starter


def bring_openmp():
    """Put the one library the native engine needs into the environment, where no administrator is at hand.

    Debian's package is fetched and unpacked as this user; a `.pth` line loads the library at start, so that the
    engine's own request for it is met. True if the library is there now.
    """
    (site,) = VENV.glob("lib/python3.*/site-packages")
    if loads(OPENMP) or (site / "openmp.pth").exists():
        return True
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return False
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for part in ("lists/partial", "archives/partial"):
            (place / part).mkdir(parents=True)
        apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={place}/lists", "-o", f"Dir::Cache={place}"]
        apt += ["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]
        fetched = not quiet([*apt, "update"]) and not quiet([*apt, "download", LIBRARIES[OPENMP]], place)
        if not fetched or quiet(["dpkg-deb", "-x", str(next(place.glob("*.deb"))), str(place / "x")]):
            return False
        library = next((place / "x").rglob(OPENMP)).resolve()
        kept = VENV / "lib" / OPENMP
        shutil.copy2(str(library), str(kept))
    say(f"Fetched {OPENMP} into .venv, since it cannot be installed here.")
    (site / "openmp.pth").write_text(
        f"import ctypes; ctypes.CDLL({str(kept)!r}, ctypes.RTLD_GLOBAL)\n", encoding="utf-8"
    )
    return True


def prepare(target):
    """Bring everything `target` needs; raises `Stop` where it cannot go on."""
    stamp = make_venv(target)
    for name, mark, words, command in steps(target):
        if stamp.get(name) != mark:
            say(f"Installing {words}")
            bring(command, f"Installing {words}")
            stamp[name] = mark
            write_stamp(stamp)
    system = digest(Path(__file__))
    wanted = "system" if target in {"run", "check"} else "system-" + target
    if stamp.get(wanted) != system:
        if not apt_install(missing_packages(target)) and not bring_openmp():
            say(f"Without {OPENMP} no model can run on this machine itself.")
        if not missing_packages(target):
            stamp[wanted] = system
            write_stamp(stamp)


def launch():
    """Become the workbench: its window where there is a display and Qt can load, else the engine alone."""
    legion = str(VENV / "bin" / "legion")
    words = []
    missing = missing_libraries()
    if sys.platform != "darwin" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        say("No display here, so the engine starts without a window.")
        words = ["start"]
    elif missing:
        say(f"Qt lacks {', '.join(missing)}, so the engine starts without a window.")
        words = ["start"]
    os.chdir(str(ROOT))
    os.execv(legion, [legion, *words])


def main(arguments):
    """Exit status 0, or 1 after one sentence."""
    target = arguments[0] if arguments else "run"
    try:
        prepare(target)
    except Stop as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if target == "run":
        launch()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
