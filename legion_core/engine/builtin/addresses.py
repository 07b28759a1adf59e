"""Pure: which addresses a task may ask. A private one only if the configuration lists it."""

from legion_core.kernel.addresses import is_address, is_allowed, is_public

__all__ = ["is_address", "is_allowed", "is_public"]
