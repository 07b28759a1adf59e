"""Pure: which topics a subscription hears: words between dots, `*` for one word, `#` for any number of them."""

from legion_core.kernel.errors import InvalidInput

CHARS_MAX = 255  # AMQP: the length of a routing key


def checked(topic: str) -> str:
    """A topic as it may be published under; InvalidInput."""
    words = topic.split(".")
    if not topic or len(topic) > CHARS_MAX or not topic.isprintable() or not all(words):
        raise InvalidInput(
            f"{topic[:80]!r} is not a topic.", hint="Words with dots between, such as orders.paid."
        )
    if "*" in words or "#" in words:
        raise InvalidInput("`*` and `#` stand in the pattern of a subscription, not in a topic.")
    return topic


def hears(pattern: str, topic: str) -> bool:
    """Whether a subscription of this pattern hears the topic."""
    words = topic.split(".")
    # Positions of the topic that the pattern so far can have reached.
    reached = {0}
    for part in pattern.split("."):
        if part == "#":
            reached = set(range(min(reached, default=len(words) + 1), len(words) + 1))
        else:
            reached = {place + 1 for place in reached if place < len(words) and part in ("*", words[place])}
    return len(words) in reached
