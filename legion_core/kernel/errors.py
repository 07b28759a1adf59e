"""Every error the workbench raises on purpose, as one tree.

    LegionError
    ├── ConfigError            a configuration file or value that cannot be used
    ├── Denied                 the caller may not do this
    ├── NotFound               the named thing does not exist
    ├── Conflict               it exists already, or is in another state
    ├── LimitReached           a stated bound was hit: size, count, queue
    │   └── OverBudget         a limit on money
    ├── InvalidInput           the caller's words cannot be understood
    ├── ProviderError          a model could not answer
    │   ├── Unavailable        try elsewhere
    │   │   ├── ConnectionLost
    │   │   ├── Overloaded
    │   │   ├── RateLimited
    │   │   ├── TimedOut
    │   │   ├── StreamBroken
    │   │   └── WorkerDied
    │   └── Refused            the same request will be refused again here
    │       ├── ContextTooLong
    │       ├── Unsupported
    │       ├── BadCredentials
    │       ├── Filtered
    │       └── Malformed
    ├── Corrupt                what is on disk is not what was written
    └── Bug                    a broken invariant of ours

Each class answers three questions for whoever catches it: may the same thing be tried again (`retry`), who can
mend it (`blame`), and what is it called on the wire (`public_code`). Messages are one sentence: what and why;
`hint` says what to do.
"""

from typing import Any, ClassVar, Literal

Retry = Literal["here", "elsewhere", "never"]
Blame = Literal["caller", "provider", "world", "us"]


class LegionError(Exception):
    """The root; catch this to catch everything raised on purpose."""

    retry: ClassVar[Retry] = "never"
    blame: ClassVar[Blame] = "us"
    public_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def sentence(self) -> str:
        """What, why and what to do, as one line fit for a person."""
        # What a server said of itself comes without a full stop, and the hint would run on from it.
        stop = "." if self.hint and self.message and self.message[-1] not in ".!?…”" else ""
        return f"{self.message}{stop} {self.hint}".strip()


class ConfigError(LegionError):
    """The configuration has faults; `faults` holds one line for each, all of them at once."""

    blame = "caller"
    public_code = "config_invalid"

    def __init__(self, message: str, *, hint: str = "", faults: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = faults


class Denied(LegionError):
    """The caller is known to be not allowed, or is not known."""

    blame = "caller"
    public_code = "denied"


class NotFound(LegionError):
    """Nothing goes by that name."""

    blame = "caller"
    public_code = "not_found"


class Conflict(LegionError):
    """The thing exists already, or its state does not allow this."""

    blame = "caller"
    public_code = "conflict"


class LimitReached(LegionError):
    """A stated bound was hit; the message names the bound and its value."""

    blame = "caller"
    public_code = "limit_reached"


class OverBudget(LimitReached):
    """A limit on money leaves too little for this; to ask again changes nothing."""

    public_code = "budget_reached"


class InvalidInput(LegionError):
    """The request cannot be understood; the message names the field.

    Where it has several faults, `faults` holds one for each, which reads as a sentence.
    """

    blame = "caller"
    public_code = "invalid_input"
    faults: tuple[Any, ...] = ()


class ProviderError(LegionError):
    """A model could not answer."""

    retry = "elsewhere"
    blame = "provider"
    public_code = "provider_error"


class Unavailable(ProviderError):
    """The instance cannot answer now; another may. `retry_after_s` is when to ask again, where that is known."""

    public_code = "unavailable"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ConnectionLost(Unavailable):
    """The connection could not be made, or broke before the first byte."""

    blame = "world"
    public_code = "connection_lost"


class Overloaded(Unavailable):
    """The provider says it is too busy (503, 529)."""

    public_code = "overloaded"


class RateLimited(Unavailable):
    """The provider asks for a pause; `retry_after_s` is its wish, if it gave one."""

    public_code = "rate_limited"


class TimedOut(Unavailable):
    """No byte arrived within the stated time."""

    public_code = "timed_out"


class StreamBroken(Unavailable):
    """The stream ended before its own end; `chunks_seen` chunks had arrived."""

    public_code = "stream_broken"

    def __init__(self, message: str, *, hint: str = "", chunks_seen: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.chunks_seen = chunks_seen


class WorkerDied(Unavailable):
    """The native child process ended; `exit_code` is negative for a signal, None if unknown."""

    public_code = "worker_died"

    def __init__(self, message: str, *, hint: str = "", exit_code: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class Refused(ProviderError):
    """The provider understood and said no."""

    public_code = "refused"


class ContextTooLong(Refused):
    """The request needs `asked` tokens, the model holds `limit`."""

    blame = "caller"
    public_code = "context_length_exceeded"

    def __init__(self, message: str, *, hint: str = "", limit: int = 0, asked: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.asked = asked


class Unsupported(Refused):
    """The model or target cannot do what was asked; `capability` names it."""

    public_code = "unsupported"

    def __init__(self, message: str, *, hint: str = "", capability: str = "") -> None:
        super().__init__(message, hint=hint)
        self.capability = capability


class BadCredentials(Refused):
    """The key is missing, wrong or not allowed here."""

    blame = "caller"
    public_code = "bad_credentials"


class Filtered(Refused):
    """The provider's content policy stopped the answer."""

    public_code = "filtered"


class Malformed(Refused):
    """The provider's answer, or (`is_request`) our request in its eyes, is not what its protocol says."""

    public_code = "malformed"

    def __init__(self, message: str, *, hint: str = "", is_request: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_request = is_request


class Corrupt(LegionError):
    """What is on disk is not what was written; nothing was changed."""

    blame = "world"
    public_code = "corrupt"


class Bug(LegionError):
    """An invariant of ours is broken; please report it."""

    public_code = "bug"
