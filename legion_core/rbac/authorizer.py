"""The one authorise call: what it decides from is in memory, and what it decided is remembered until something changes.

The owner may do everything. A token may do what its scopes and its roles say; what nothing says is denied. Every call asks
anew whether the token still lives, so that an open stream of a revoked one ends at its next step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Denied, LegionError
from legion_core.kernel.ports import LOCAL_OWNER, Principal
from legion_core.rbac.policy import Policy, Rights, Verdict, decide, rights_of
from legion_core.rbac.rules import Rule, read_scope
from legion_core.rbac.tokens import Token, fingerprint

REMEMBERED_MAX: Final = 20_000
# Only the person at this machine may: what it starts runs as them.
DESKTOP_ALONE: Final = frozenset({("mcp/servers", "manage")})
# Also a yes is recorded, where it is somebody else's than the owner.
RISKY_ROOTS: Final = (
    "tasks/shell/",
    "tasks/file/",
    "tasks/webhook/",
    "hooks",
    "schedules",
    "chains",
    "models",
)
RISKY_ACTIONS: Final = frozenset({"run", "write", "manage"})

Told = Callable[[Principal, str, str, Verdict], None]


class PolicyAuthorizer:
    """See `kernel.ports.Authorizer`. `refresh` looks whether somebody else changed something; it must be cheap."""

    def __init__(
        self,
        clock: Clock,
        *,
        denied: Told | None = None,
        granted: Told | None = None,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._denied = denied or _nothing
        self._granted = granted or _nothing
        self._refresh = refresh
        self._policy = Policy()
        self._by_digest: dict[bytes, Token] = {}
        self._by_id: dict[str, Token] = {}
        self._by_subject: dict[str, Token] = {}
        self._rights: dict[str, Rights] = {}
        self._known: dict[tuple[str, tuple[str, ...], str, str], Verdict] = {}
        self._blocked = ""
        self.is_policy = False

    # What is in force

    @property
    def policy(self) -> Policy:
        """The policy in force; an empty one allows nothing."""
        return self._policy

    def put_policy(self, policy: Policy | None) -> None:
        """Decide by this one from now on; None for none, and then tokens have their scopes alone."""
        self.is_policy = policy is not None
        self._blocked = ""
        self._policy = policy or Policy()
        self._forget()

    def block(self, why: str) -> None:
        """Allow nobody but the owner anything until a policy is put: what was meant is not known."""
        self._blocked = why

    def put_tokens(self, tokens: Sequence[Token]) -> None:
        """Know exactly these from now on."""
        self._by_digest = {token.digest: token for token in tokens if token.revoked_ms is None}
        self._by_id = {token.id: token for token in tokens}
        self._by_subject = {token.subject: token for token in tokens}
        self._forget()

    @property
    def tokens(self) -> Mapping[str, Token]:
        """All by id, also those that ended."""
        return self._by_id

    def _forget(self) -> None:
        self._rights = {}
        self._known = {}

    # Who

    def resolve(self, secret: str) -> Token | None:
        """The live token with that secret. What is compared is a hash of it, so the time taken tells nothing of it."""
        self._refresh()
        token = self._by_digest.get(fingerprint(secret))
        return token if token is not None and token.state(self._now_ms()) == "active" else None

    def named(self, name: str) -> Principal:
        """See `Authorizer`."""
        if name == LOCAL_OWNER.name:
            return LOCAL_OWNER
        self._refresh()
        token = self._by_subject.get(name)
        if token is None or token.state(self._now_ms()) != "active":
            return Principal(name=name)
        return principal_of(token)

    # What

    def authorise(self, who: Principal, path: str, action: str) -> None:
        """See `Authorizer`."""
        if who.carrier == "local" or (who.carrier == "owner" and (path, action) not in DESKTOP_ALONE):
            return
        verdict = self.verdict(who, path, action)
        if verdict.is_allowed:
            if action in RISKY_ACTIONS and path.startswith(RISKY_ROOTS):
                self._granted(who, path, action, verdict)
            return
        self._denied(who, path, action, verdict)
        raise Denied(
            f"{who.name} may not {action} {path}. {verdict.why}",
            hint=f"`legion rbac check {who.name} {path} {action}` explains it; the owner can allow it.",
        )

    def may(self, who: Principal, path: str, action: str) -> bool:
        """See `Authorizer`."""
        if who.carrier == "local" or (who.carrier == "owner" and (path, action) not in DESKTOP_ALONE):
            return True
        return self.verdict(who, path, action).is_allowed

    def verdict(self, who: Principal, path: str, action: str) -> Verdict:
        """The decision for a token, and why."""
        self._refresh()
        if who.carrier == "owner":
            return Verdict(is_allowed=False, why="That is done in the window, by the person at this machine.")
        token = self._by_id.get(who.token) if who.carrier == "token" else None
        if token is None:
            return Verdict(is_allowed=False, why="There is no such token.")
        if self._blocked:
            return Verdict(is_allowed=False, why=self._blocked)
        now_ms = self._now_ms()
        if token.revoked_ms is not None or (token.expires_ms is not None and token.expires_ms <= now_ms):
            return Verdict(is_allowed=False, why=f"The token {token.name} is {token.state(now_ms)}.")
        rights = self._rights.get(token.id)
        if rights is None or (rights.until is not None and rights.until.timestamp() * 1000 <= now_ms):
            rights = rights_of(self._policy, token.subject, token.rules, self._clock.utc_now())
            self._rights[token.id] = rights
            self._known = {key: value for key, value in self._known.items() if key[0] != token.id}
        key = (token.id, who.scopes, path, action)
        verdict = self._known.get(key)
        if verdict is None:
            verdict = decide(rights, path, action, _narrowed(who.scopes))
            if len(self._known) >= REMEMBERED_MAX:
                self._known = {}
            self._known[key] = verdict
        return verdict

    def explain(self, subject: str, path: str, action: str) -> Verdict:
        """The decision for a subject by name: `owner`, a token's, or one there is not (yet), as the policy has it."""
        if subject == LOCAL_OWNER.name:
            return Verdict(is_allowed=True, why="The owner may do everything.", rule="owner")
        who = self.named(subject)
        if who.carrier == "token":
            return self.verdict(who, path, action)
        token = self._by_subject.get(subject)
        if token is not None:
            return Verdict(is_allowed=False, why=f"The token {token.name} is {token.state(self._now_ms())}.")
        rights = rights_of(self._policy, subject, (), self._clock.utc_now())
        verdict = decide(rights, path, action)
        if not rights.is_assigned:
            return Verdict(is_allowed=False, why=f"There is neither a token {subject!r} nor a role for it.")
        return verdict

    def _now_ms(self) -> float:
        return self._clock.unix_s() * 1000


def principal_of(token: Token) -> Principal:
    """Who a live token stands for."""
    return Principal(name=token.subject, carrier="token", token=token.id)


def _narrowed(scopes: tuple[str, ...]) -> tuple[Rule, ...]:
    try:
        return tuple(read_scope(scope) for scope in scopes)
    except LegionError:
        raise Denied("What was passed on to this caller cannot be read, so it may do nothing.") from None


def _nothing(who: Principal, path: str, action: str, verdict: Verdict) -> None:
    """Nobody wants to know."""
