"""The policy's file: read whole, kept over restarts, refused without harm, and never guessed."""

import os
from pathlib import Path

import pytest

from legion_core.kernel.errors import ConfigError, NotFound
from legion_core.kernel.ports import LOCAL_OWNER, Principal
from tests.support.aio import run
from tests.unit.rbac.parts import Parts, parts

GOOD = 'version = 1\n[[assign]]\nsubject = "bot"\nroles = ["chat"]\n'
FAULTY = 'version = 1\n[[assign]]\nsubject = "bot"\nroles = ["chta"]\n'
ASKED = ("gateway/chat", "use")


async def token(at: Parts, *scopes: str) -> Principal:
    made = await at.rbac.create_token(LOCAL_OWNER, "bot", scopes, "", None)
    who = at.rbac.principal(made.secret)
    assert who is not None
    return who


def touch(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))


def test_no_policy_is_the_owner_and_what_tokens_were_given_themselves(tmp_path: Path) -> None:
    async def work() -> None:
        async with parts(tmp_path) as at:
            assert not at.rbac.authorizer.may(await token(at), *ASKED)
            assert at.rbac.authorizer.may(LOCAL_OWNER, "anything/at/all", "manage")

    run(work())


def test_a_policy_applied_is_written_down_and_there_after_a_restart(tmp_path: Path) -> None:
    async def first() -> None:
        async with parts(tmp_path) as at:
            await token(at)
            await at.rbac.apply_policy(LOCAL_OWNER, GOOD)

    async def second() -> bool:
        async with parts(tmp_path) as at:
            return at.rbac.authorizer.may(at.rbac.authorizer.named("bot"), *ASKED)

    run(first())
    assert (tmp_path / "policy.toml").read_text(encoding="utf-8") == GOOD
    assert run(second())


@pytest.mark.parametrize("wrong", [FAULTY, "", "\x00", "#" * 300_000, None, "binary", "folder"])
def test_a_file_that_cannot_be_taken_leaves_the_last_good_one_in_force_over_a_restart_too(
    tmp_path: Path, allow_log: object, wrong: str | None
) -> None:
    allow_log("is not in force")  # type: ignore[operator]
    path = tmp_path / "policy.toml"

    async def first() -> None:
        async with parts(tmp_path) as at:
            who = await token(at)
            await at.rbac.apply_policy(LOCAL_OWNER, GOOD)
            path.unlink()
            if wrong == "binary":
                path.write_bytes(b"\xff\xfe\x00version")
            elif wrong == "folder":
                path.mkdir()
            elif wrong is not None:
                touch(path, wrong)
            at.look_again()
            assert at.rbac.authorizer.may(who, *ASKED)
            assert (await at.rbac.policy()).faults
            await at.audit.flush()
            assert await at.audit.page(kind="policy.refused")

    async def second() -> None:
        async with parts(tmp_path) as at:
            assert at.rbac.authorizer.may(at.rbac.authorizer.named("bot"), *ASKED)
            assert (await at.rbac.policy()).faults

    run(first())
    run(second())


def test_a_faulty_file_with_none_before_it_denies_everybody_but_the_owner(
    tmp_path: Path, allow_log: object
) -> None:
    allow_log("is not in force")  # type: ignore[operator]

    async def work() -> None:
        async with parts(tmp_path) as at:
            who = await token(at, "gateway/*:use")
            assert at.rbac.authorizer.may(who, *ASKED)
            touch(tmp_path / "policy.toml", FAULTY)
            at.look_again()
            assert not at.rbac.authorizer.may(who, *ASKED)
            assert at.rbac.authorizer.may(LOCAL_OWNER, *ASKED)
            touch(tmp_path / "policy.toml", GOOD)
            at.look_again()
            assert at.rbac.authorizer.may(who, *ASKED)

    run(work())


def test_a_file_edited_by_hand_is_in_force_and_recorded(tmp_path: Path) -> None:
    async def work() -> None:
        async with parts(tmp_path) as at:
            who = await token(at)
            touch(tmp_path / "policy.toml", GOOD)
            at.look_again()
            assert at.rbac.authorizer.may(who, *ASKED)
            await at.audit.flush()
            assert [row.kind for row in await at.audit.page(kind="policy")] == ["policy.loaded"]

    run(work())


def test_a_file_swapped_for_one_of_the_same_size_and_time_is_seen(tmp_path: Path) -> None:
    """The time of writing can be put back; what was revoked by it would stay allowed."""
    path, other = tmp_path / "policy.toml", GOOD.replace("bot", "cat")
    assert len(other) == len(GOOD)

    async def work() -> None:
        async with parts(tmp_path) as at:
            who = await token(at)
            touch(path, GOOD)
            at.look_again()
            assert at.rbac.authorizer.may(who, *ASKED)
            before = path.stat()
            beside = (
                tmp_path / "beside"
            )  # another file, as editors and thieves write: the clock of the disk is too coarse
            beside.write_text(other, encoding="utf-8")
            os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
            beside.replace(path)
            at.look_again()
            assert not at.rbac.authorizer.may(who, *ASKED)

    run(work())


def test_a_refused_policy_changes_neither_the_file_nor_what_is_in_force(tmp_path: Path) -> None:
    async def work() -> None:
        async with parts(tmp_path) as at:
            who = await token(at)
            await at.rbac.apply_policy(LOCAL_OWNER, GOOD)
            with pytest.raises(ConfigError) as raised:
                await at.rbac.apply_policy(LOCAL_OWNER, FAULTY)
            assert "line 4" in raised.value.faults[0]
            assert at.rbac.authorizer.may(who, *ASKED)
            assert (tmp_path / "policy.toml").read_text(encoding="utf-8") == GOOD

    run(work())


def test_taken_away_on_purpose_it_stays_away(tmp_path: Path) -> None:
    async def first() -> None:
        async with parts(tmp_path) as at:
            await token(at)
            await at.rbac.apply_policy(LOCAL_OWNER, GOOD)
            await at.rbac.remove_policy(LOCAL_OWNER)
            with pytest.raises(NotFound):
                await at.rbac.remove_policy(LOCAL_OWNER)

    async def second() -> None:
        async with parts(tmp_path) as at:
            assert not at.rbac.authorizer.is_policy
            assert not at.rbac.authorizer.may(at.rbac.authorizer.named("bot"), *ASKED)

    run(first())
    run(second())


def test_what_is_passed_on_narrower_is_not_widened_by_a_wider_token(tmp_path: Path) -> None:
    async def work() -> None:
        async with parts(tmp_path) as at:
            who = await token(at, "gateway/*:use", "tasks/*:run")
            part = Principal(name=who.name, carrier="token", token=who.token, scopes=("gateway/*:use",))
            may = at.rbac.authorizer.may
            assert may(part, *ASKED)
            assert not may(part, "tasks/a/b/c", "run")
            assert may(who, "tasks/a/b/c", "run")
            forged = Principal(name="owner", carrier="token", token="tok_nobody")
            assert not may(forged, *ASKED)

    run(work())


def test_a_dry_run_says_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with parts(tmp_path) as at:
            await token(at, "gateway/*:use", "tasks/*:run")
            rows = at.rbac.preview(GOOD, [ASKED, ("tasks/a/b/c", "run")])
            assert [(path, now.is_allowed, then.is_allowed) for _, path, _, now, then in rows] == [
                ("gateway/chat", True, True),
                ("tasks/a/b/c", True, False),
            ]
            assert not at.rbac.authorizer.is_policy

    run(work())
