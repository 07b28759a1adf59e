"""One way out: whatever leaves this computer goes through `kernel.fetch`, and whatever opens a browser through one opener."""

import ast
from collections.abc import Iterable

import pytest

from tests.arch.source import Module, dotted, imports, module, nodes, product

LIBRARIES = (
    "httpx", "httpx2", "aiohttp", "requests", "urllib3", "websockets", "http.client", "urllib.request", "ftplib", "smtplib",
    "imaplib", "poplib", "telnetlib", "xmlrpc.client", "PySide6.QtNetwork", "PySide6.QtWebSockets", "httpcore",
)  # fmt: skip
CALLS = (
    "create_connection", "open_connection", "getaddrinfo", "gethostbyname", "gethostbyname_ex", "sock_connect", "urlopen",
    "create_datagram_endpoint",
)  # fmt: skip
FETCH = "legion_core/kernel/fetch/"

# Everything else that names one of these, and why it may.
EXCEPTIONS: dict[str, str] = {
    "legion_core/gateway/providers/lines.py": "the hot path: its own connections, to addresses that kernel.fetch judged",
    "legion_core/gateway/providers/proxied.py": "only words of errors: its client's transport is kernel.fetch's",
    "legion_core/models/pull.py": "streams to disk over a client whose transport is kernel.fetch's",
    "legion_core/agent/mcp/web.py": "the SDK wants a client of its own kind; its transport is kernel.fetch's",
    "legion_core/surfaces/cli/http.py": "the command line asks the node on this computer, never another",
    "legion_core/surfaces/cli/commands/mcp.py": "the same, for the shim",
    "legion_core/surfaces/mcp/shim.py": "the same",
    "legion_core/surfaces/cli/attacks/": "attacks a node of its own on this computer, and nothing else",
    "legion_core/surfaces/rest/listening.py": "looks up its own address to listen at; connects to nothing",
    "legion_core/workers/engines/xllamacpp.py": "the child's native server answers on loopback, inside the same process",
    "app/single_pipe.py": "a local socket by which a second start finds the first window",
    "legion_core/testing/": "fakes and suites: no product module imports them",
}


def outgoing_beside_the_way_out(modules: Iterable[Module]) -> list[str]:
    found: list[str] = []
    for each in modules:
        if each.path.startswith((FETCH, *EXCEPTIONS)):
            continue
        found += [
            f"{each.path} imports {name}"
            for name in sorted(imports(each.tree))
            if any(name == library or name.startswith(f"{library}.") for library in LIBRARIES)
        ]
        found += [
            f"{each.path}:{node.lineno} calls {dotted(node.func)}"
            for node in nodes(each.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS
        ]
    return found


@pytest.mark.requirement("network.one-way-out")
def test_nothing_leaves_but_by_the_one_way_out() -> None:
    assert outgoing_beside_the_way_out(product()) == []


def test_no_exception_is_there_for_nobody() -> None:
    paths = [each.path for each in product()]
    for place in EXCEPTIONS:
        mine = [each for each in product() if each.path.startswith(place)]
        assert mine, f"{place} is not there any more: {len(paths)} modules"
        assert any(
            any(name.startswith(LIBRARIES) for name in imports(each.tree))
            or any(isinstance(node, ast.Attribute) and node.attr in CALLS for node in nodes(each.tree))
            for each in mine
        ), f"{place} needs no exception"


def test_every_client_of_another_library_goes_the_way_out() -> None:
    """An `AsyncClient` without a transport of ours would go its own way."""
    found = [
        f"{each.path}:{node.lineno}"
        for each in product()
        if not each.path.startswith(("legion_core/testing/", FETCH))
        for node in nodes(each.tree)
        if isinstance(node, ast.Call)
        and dotted(node.func).rpartition(".")[2] in ("AsyncClient", "Client")
        and dotted(node.func).startswith(("httpx", "httpx2"))
        and not {"transport"} <= {word.arg for word in node.keywords}
    ]
    assert found == []


def test_the_rule_bites_on_every_way_out_there_is() -> None:
    for text in (
        "import httpx", "import aiohttp.client", "def f():\n    from urllib.request import urlopen", "import http.client",
        "from PySide6.QtNetwork import QNetworkAccessManager", "import socket\nsocket.create_connection(('a', 1))",
        "async def f(loop):\n    await loop.create_connection(None, 'a', 1)", "import asyncio\nasync def f():\n    await asyncio.open_connection('a', 1)",
    ):  # fmt: skip
        assert outgoing_beside_the_way_out([module("legion_core/engine/planted.py", text)]), text


OPENERS = ("QDesktopServices", "webbrowser", "startfile", "xdg-open", "QProcess.startDetached")


def openers_of_addresses(modules: Iterable[Module]) -> list[str]:
    return sorted(
        {
            f"{each.path} names {word}"
            for each in modules
            if each.path != "app/views/links.py"
            for node in nodes(each.tree)
            for word in OPENERS
            if (isinstance(node, ast.Name) and node.id == word)
            or (isinstance(node, ast.Attribute) and word in (node.attr, dotted(node)))
            or (isinstance(node, ast.alias) and node.name.partition(".")[0] == word)
            or (isinstance(node, ast.Constant) and node.value == word)
        }
    )


def test_one_opener_of_addresses() -> None:
    assert openers_of_addresses(product()) == []
    for text in (
        "import webbrowser",
        "import os\nos.startfile('x')",
        "run(['xdg-open', x])",
        "QDesktopServices.openUrl(x)",
    ):
        assert openers_of_addresses([module("app/views/planted.py", text)]), text
    # Qt itself opens nothing either: no label or browser of ours follows links.
    followers = [
        f"{each.path}:{node.lineno}"
        for each in product()
        for node in nodes(each.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("setOpenExternalLinks", "setOpenLinks")
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value is False)
    ]
    assert followers == []
