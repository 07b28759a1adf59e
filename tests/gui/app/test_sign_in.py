"""Signing in at a server of others by the Connect page: a real window, a real node, a real authorization server."""

from pathlib import Path

import pytest

from tests.gui.app.test_bootstrap import drive
from tests.unit.agent.mcp.oauth_servers import serving

pytestmark = pytest.mark.slow


def test_a_server_that_wants_a_sign_in_is_signed_in_at_approved_and_signed_out_of(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving() as (signer, guarded):
        said = drive(
            "sign_in", home, SIGNED_AT=f"{guarded.url}/mcp", LEGION_PASSPHRASE="open sesame",
            PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring",
        )  # fmt: skip
        assert signer.faults == []
        assert said["words"] == "Sign in…"
        assert said["has_focus"]
        assert signer.url.removeprefix("http://").partition(":")[0] in said["asked"]
        (opened,) = said["opened"]
        assert opened.startswith(f"{signer.url}/authorize?")
        assert (said["tools"], said["then"]) == (["add"], "Sign out")
        assert len(signer.revoked) == 1
    on_disk = b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())
    assert b"SECRET" not in on_disk
