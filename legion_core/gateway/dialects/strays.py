"""Results whose call is not in the request: refused where the model is asked about them, else told as words.

Agents cut and summarise their histories, and a result is left behind whose call went. Its provider refuses that history
each time it is sent, and the session is over. So a result that something was said after is past and passes;
`gateway.pairing` makes it words. One that ends the request is the mistake of a program that is being written: it is
refused as its provider would.
"""

from dataclasses import dataclass

from legion_core.gateway.dialects.fields import FieldFault


@dataclass(slots=True)
class Strays:
    """The results at the end of what was read so far that answer no call of it."""

    _fault: tuple[str, str] | None = None

    def found(self, field: str, what: str) -> None:
        """Here is one; `field` and `what` as of a `FieldFault`."""
        self._fault = self._fault or (field, what)

    def pass_by(self) -> None:
        """Something else was said."""
        self._fault = None

    def check(self, *, has_unseen_history: bool) -> None:
        """FieldFault if the request ends in one. What is kept here and was not sent may hold its call."""
        if self._fault is not None and not has_unseen_history:
            raise FieldFault(*self._fault)
