"""Every host this process has spoken to, for the Network page."""

from legion_core.kernel.contacts import CONTACTS, Contact, Contacts, Purpose

__all__ = ["Contact", "Network", "Purpose"]


class Network:
    """See the module."""

    def __init__(self, contacts: Contacts = CONTACTS) -> None:
        self._contacts = contacts

    def hosts(self) -> tuple[Contact, ...]:
        """The latest first: host, port, what for, how often, first and last. At most the last 500."""
        return self._contacts.rows()

    def contacted(self, host: str, port: int, purpose: Purpose) -> None:
        """Say that a connection is about to be opened; for whoever has a client of another library."""
        self._contacts.note(host, port, purpose)
