"""What a wire that refuses a beginning ending in white space makes of it: cut off here, and not told twice. Pure."""


class Swallow:
    """The white space cut off a prefix is the model's to write again, and the client's not to see twice."""

    def __init__(self, prefix: str) -> None:
        self._held = prefix[len(prefix.rstrip()) :]

    def rest(self, text: str) -> str:
        """`text` without the white space that the client has already."""
        if not self._held or not text:
            return text
        held = self._held
        shared = next(
            (n for n, (a, b) in enumerate(zip(held, text, strict=False)) if a != b), min(len(held), len(text))
        )
        self._held = held[shared:] if shared == len(text) else ""
        return text[shared:]
