"""The instructions of one answer through the gateway: the same however busy the machine is, to a tenth of a percent.

    python -m benchmarks.gateway_instructions

Needs valgrind. Counted is the thread of the loop, in user space, over answers of 16 tokens that are not streamed, one after
another; what is written to the journal behind them goes by the clock and not by the answer, so it is put off.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import gateway_arms as arms
from benchmarks.gateway import WORDS, checked, raw_of
from benchmarks.gateway_client import Line

WARMED = 150
COUNTED = 150
WRITTEN_LIMIT_S = 60.0
# The command line, with bills handed to the journal half a minute behind their answers.
_PROGRAM = """
import sys
from legion_core.gateway import bills
bills.BEHIND_S = 30.0
from legion_core.__main__ import main
sys.argv = sys.argv[1:]
sys.exit(main())
"""
_TOTAL = re.compile(rb"^(?:totals|summary): (\d+)", re.MULTILINE)


def main(argv: Sequence[str] | None = None) -> int:
    """The module's docstring says it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, default=COUNTED, help="how many are counted")
    answers = parser.parse_args(argv).answers
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed: the package valgrind of your system has it.")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="legion-callgrind-")))
        under = (
            *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"),
            *(f"--callgrind-out-file={folder}/%p", sys.executable, "-c", _PROGRAM),
        )
        upstream = stack.enter_context(arms.upstream(sys.executable))
        node = stack.enter_context(arms.node(upstream.port, under=under))
        line, plain = Line(node.port), raw_of(node, "plain", WORDS, is_stream=False)
        _ask(line, plain, WARMED)
        _control(node.process.pid, "-i", "on")
        _ask(line, plain, WARMED // 10)
        _control(node.process.pid, "-z")
        _ask(line, plain, answers)
        _control(node.process.pid, "-d")
        print(
            json.dumps(
                {"instructions": round(_counted(folder, node.process.pid) / answers), "answers": answers}
            )
        )
    return 0


def _ask(line: Line, plain: bytes, times: int) -> None:
    checked([line.ask(plain) for _ in range(times)], WORDS)


def _control(pid: int, *what: str) -> None:
    subprocess.run(["callgrind_control", *what, str(pid)], check=True, capture_output=True, env=os.environ)


def _counted(folder: Path, pid: int) -> int:
    """What the first thread did up to the dump that was asked for."""
    dump = folder / f"{pid}.1-01"
    until_s = time.monotonic() + WRITTEN_LIMIT_S
    while time.monotonic() < until_s:
        if dump.exists() and (found := _TOTAL.findall(dump.read_bytes())):
            return int(found[-1])
        time.sleep(0.1)
    sys.exit("callgrind wrote nothing.")


if __name__ == "__main__":
    sys.exit(main())
