"""Reading a secret from a person or a pipe."""

import sys

from legion_core.kernel.errors import InvalidInput

BYTES_MAX = 64 * 1024


def read_secret(question: str, *, may_be_empty: bool = False) -> str:
    """Typed without echo at a terminal, else all of standard input without its last line break."""
    if sys.stdin.isatty():
        import getpass

        value = getpass.getpass(question)
    else:
        value = sys.stdin.read(BYTES_MAX + 1).removesuffix("\n").removesuffix("\r")
    if len(value) > BYTES_MAX:
        raise InvalidInput(f"That is longer than {BYTES_MAX:,} characters, which is no key.")
    if not value and not may_be_empty:
        raise InvalidInput(
            "Nothing was given.", hint="Pipe the value in: `printf %s VALUE | legion secret set NAME`."
        )
    return value
