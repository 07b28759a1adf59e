"""Whether any installed package brings extensions: a look into the packages' own lists, without importing anything."""

import sys
from pathlib import Path


def any_installed(group: str) -> bool:
    """Whether a package on the path has entry points of this group. Blocks on the disk for a moment."""
    wanted = f"[{group}]".encode()
    for place in dict.fromkeys(sys.path):
        for path in Path(place or ".").glob("*-info/entry_points.txt"):
            try:
                if wanted in path.read_bytes():
                    return True
            except OSError:  # removed just now, or not ours to read: such a package cannot be imported either
                continue
    return False
