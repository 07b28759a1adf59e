"""The zone this machine is in, by its name in the IANA database: what a schedule is given where nobody names one."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

_LINK, _FILE = Path("/etc/localtime"), Path("/etc/timezone")

_UTC = ("Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Zulu", "Universal", "UTC0")


def local_zone() -> str:
    """Such as `Europe/Berlin`; `UTC` where the system does not say. Reads two small files."""
    for name in (os.environ.get("TZ", "").removeprefix(":"), _linked(), _written()):
        try:
            if name:
                return "UTC" if name in _UTC else ZoneInfo(name).key
        except (LookupError, ValueError, OSError):
            continue
    return "UTC"


def _linked() -> str:
    try:
        target = os.readlink(_LINK)
    except OSError:  # a copy rather than a link, or no such file
        return ""
    return target.partition("zoneinfo/")[2].removeprefix("posix/")


def _written() -> str:
    try:
        return _FILE.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
