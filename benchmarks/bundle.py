"""The size of the packaged application, with and without the starter model and the native engine."""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def size_bytes(folder: Path) -> int:
    """Bytes of all files; a link counts nothing."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def split(folder: Path) -> dict[str, int]:
    """Bytes by part: the model, the native engine (its library and its package), and all else."""
    model = sum(file.stat().st_size for file in folder.rglob("*.gguf"))
    engine = sum(size_bytes(part) for part in folder.rglob("xllamacpp*") if part.is_dir())
    engine += sum(
        file.stat().st_size for file in folder.rglob("xllamacpp*") if file.is_file() and not file.is_symlink()
        and not any(parent.name.startswith("xllamacpp") for parent in file.parents)
    )  # fmt: skip
    return {"model": model, "engine": engine, "rest": size_bytes(folder) - model - engine}


def main() -> int:
    """Print the sizes in megabytes of 10^6 bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist" / "legion-workbench")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.folder.is_dir():
        print(f"{options.folder} is not there; `make bundle` builds it", file=sys.stderr)
        return 1
    parts = split(options.folder)
    found = {
        "bare_mb": round(parts["rest"] / 1e6, 1),
        "whole_mb": round(sum(parts.values()) / 1e6, 1),
        "model_mb": round(parts["model"] / 1e6, 1),
        "engine_mb": round(parts["engine"] / 1e6, 1),
        "files": sum(1 for file in options.folder.rglob("*") if file.is_file()),
    }
    print(
        json.dumps(found)
        if options.json
        else "\n".join(f"{name:12} {value}" for name, value in found.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
