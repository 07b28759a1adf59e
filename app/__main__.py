"""The one way in: `legion` opens the desktop, `legion COMMAND` is the command line, `--child ENGINE` the native child.

Only the standard library is imported here, and only what is needed to decide which of the three it is.
"""

import sys


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments ask for; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--child"]:
        return _child(arguments[1:])
    import faulthandler

    # A windowed build has no standard error to write to.
    if sys.stderr is not None and hasattr(sys.stderr, "fileno"):
        import contextlib

        with contextlib.suppress(ValueError, OSError):
            faulthandler.enable()
    if not arguments or arguments[0] == "desktop" or arguments[0].startswith("legion://"):
        from app.bootstrap import run

        return run(arguments)
    from legion_core.__main__ import main as command_line

    return command_line(arguments)


def _child(arguments: list[str]) -> int:
    """The process that holds native code: it must start before, and without, everything else."""
    from legion_core.workers.child import main as child

    return child(arguments)


if __name__ == "__main__":
    sys.exit(main())
