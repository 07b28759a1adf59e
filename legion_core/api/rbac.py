"""Who may do what: the policy in force, why something is allowed or not, and what another policy would change."""

from collections.abc import Sequence

import msgspec

from legion_core.kernel.ports import LOCAL_OWNER, Principal
from legion_core.rbac.policy import BUILTIN, Verdict, parse
from legion_core.rbac.rules import ACTIONS
from legion_core.rbac.service import PolicyState, Rbac

__all__ = ["ACTIONS", "Decision", "PolicyRow", "PolicyState", "PreviewRow", "RbacDoor", "RoleRow"]

# What a preview asks where nobody names anything: the doors of the workbench, each with what is done there.
DOORS: tuple[tuple[str, str], ...] = (
    ("gateway/chat", "use"), ("gateway/embed", "use"), ("mcp", "use"), ("tasks", "read"), ("tasks", "write"),
    ("tasks/log/message/write", "run"), ("tasks/http/request/get", "run"), ("tasks/file/text/write", "run"),
    ("tasks/shell/command/run", "run"), ("chains", "read"), ("chains", "write"), ("schedules", "read"),
    ("schedules", "write"), ("hooks", "write"), ("conversations", "read"), ("ledger", "read"), ("events", "read"),
    ("models", "manage"), ("audit", "read"), ("settings", "read"), ("settings", "manage"), ("secrets", "manage"),
)  # fmt: skip


class RoleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A role, its rules as `GLOB:ACTION,…`."""

    name: str
    description: str
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    is_builtin: bool


class PolicyRow(msgspec.Struct, frozen=True, kw_only=True):
    """The policy: its text, where it is, whether one is in force, what is wrong with the file, and all roles."""

    path: str
    text: str
    is_in_force: bool
    faults: tuple[str, ...]
    roles: tuple[RoleRow, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A question about rights, and its answer with the rule that decided."""

    subject: str
    path: str
    action: str
    is_allowed: bool
    rule: str
    why: str


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided now, and what would be."""

    subject: str
    path: str
    action: str
    is_allowed_now: bool
    is_allowed_then: bool
    why_then: str


class RbacDoor:
    """See the module."""

    def __init__(self, rbac: Rbac) -> None:
        self._rbac = rbac

    async def policy(self) -> PolicyRow:
        """What is in force."""
        state = await self._rbac.policy()
        own = self._rbac.authorizer.policy.roles.values()
        roles = [
            RoleRow(
                name=role.name, description=role.description, allow=tuple(rule.text for rule in role.allow),
                deny=tuple(rule.text for rule in role.deny), is_builtin=role.name in BUILTIN,
            )
            for role in (*own, *BUILTIN.values())
        ]  # fmt: skip
        return PolicyRow(
            path=state.path,
            text=state.text,
            is_in_force=state.is_in_force,
            faults=state.faults,
            roles=tuple(roles),
        )

    def check(self, subject: str, path: str, action: str) -> Decision:
        """Whether `subject` may, and which rule says so. `subject` is `owner`, a token's name, or one only the policy names."""
        return _decision(subject, path, action, self._rbac.check(subject, path, action))

    async def apply(self, text: str, who: Principal = LOCAL_OWNER) -> PolicyRow:
        """Put a policy in force and write it down: whole, or ConfigError with all its faults and nothing changed."""
        await self._rbac.apply_policy(who, text)
        return await self.policy()

    async def remove(self, who: Principal = LOCAL_OWNER) -> None:
        """Have no policy: tokens may then do what their scopes say, and nothing else. NotFound."""
        await self._rbac.remove_policy(who)

    def faults(self, text: str) -> tuple[str, ...]:
        """What is wrong with a policy, each fault with its line; nothing is applied."""
        from legion_core.kernel.errors import ConfigError

        try:
            parse(text)
        except ConfigError as error:
            return error.faults
        return ()

    def preview(self, text: str, asked: Sequence[tuple[str, str]] = ()) -> tuple[PreviewRow, ...]:
        """A dry run: what each token and subject may do now, and what it could under `text`. ConfigError."""
        return tuple(
            PreviewRow(
                subject=subject, path=path, action=action, is_allowed_now=now.is_allowed,
                is_allowed_then=then.is_allowed, why_then=then.why,
            )
            for subject, path, action, now, then in self._rbac.preview(text, asked or DOORS)
        )  # fmt: skip


def _decision(subject: str, path: str, action: str, found: Verdict) -> Decision:
    return Decision(
        subject=subject, path=path, action=action, is_allowed=found.is_allowed, rule=found.rule, why=found.why
    )
