"""Numbers and moments as the window writes them: short in strips, exact in the inspector, never with false precision."""

from datetime import date, datetime, timedelta

MINUS = "\u2212"
DASH = "\u2013"  # shown where nothing was measured
LICENCES = {
    "apache-2.0": "Apache-2.0", "apache2": "Apache-2.0", "apache-2": "Apache-2.0", "mit": "MIT",
    "bsd-3-clause": "BSD-3-Clause", "bsd-2-clause": "BSD-2-Clause", "isc": "ISC", "mpl-2.0": "MPL-2.0",
    "gpl-3.0": "GPL-3.0", "agpl-3.0": "AGPL-3.0", "cc-by-4.0": "CC-BY-4.0", "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0", "openrail": "OpenRAIL", "gemma": "Gemma", "llama2": "Llama 2",
    "llama3": "Llama 3", "llama3.1": "Llama 3.1", "llama3.2": "Llama 3.2", "llama3.3": "Llama 3.3",
}  # fmt: skip
OWN_TIERS = ("local", "direct", "fleet")


def size(count_bytes: int) -> str:
    """Decimal units as file managers show them: `4.9 GB`, `145 MB`."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count_bytes >= scale:
            value = count_bytes / scale
            return f"{value:.1f} {unit}" if unit in ("GB", "TB") else f"{value:.0f} {unit}"
    return f"{count_bytes} B"


def whole_size(count_bytes: int) -> str:
    """A size without a needless decimal: `32 GB`, `7.5 GB`."""
    return size(count_bytes).replace(".0 ", " ")


def count(number: int) -> str:
    """`11,104`."""
    return f"{number:,}"


def short_count(number: int) -> str:
    """`11.1k`, `262k`, `8k`: for strips and columns; a power of two reads as people say it (8192 is 8k)."""
    if number < 1000:
        return str(number)
    if number % 1024 == 0 and number < 1024 * 1024:
        return f"{number // 1024}k"
    if number < 100_000:
        return f"{number / 1000:.1f}k".replace(".0k", "k")
    if number < 1_000_000:
        return f"{number / 1000:.0f}k"
    return f"{number / 1_000_000:.1f}M"


def parameters(number: int) -> str:
    """A model's size in weights: `8.2B`, `135M`."""
    if number <= 0:
        return DASH
    if number >= 10**9:
        return f"{number / 10**9:.1f}B"
    return f"{number / 10**6:.0f}M"


def duration(seconds: float | None) -> str:
    """`640 ms`, `1.9 s`, `2 min 5 s`."""
    if seconds is None:
        return DASH
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def short_span(seconds: float) -> str:
    """What is left of a wait, in whole units: `41 s`, `3 min`."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 100 else f"{round(whole / 60)} min"


def rate(tokens_per_s: float | None) -> str:
    """`113 tok/s`; one decimal below ten."""
    if tokens_per_s is None:
        return DASH
    return f"{tokens_per_s:.1f} tok/s" if tokens_per_s < 10 else f"{tokens_per_s:.0f} tok/s"


def money(usd: float | None) -> str:
    """`$0.0041` below one cent, `$0.14` above; None is `price unknown`, never free."""
    if usd is None:
        return "price unknown"
    return f"${usd:.4f}" if 0 < usd < 0.01 else f"${usd:,.2f}"


def price(usd: float | None, tier: str) -> str:
    """A cost in a badge: an answer of one's own machines that cost nothing is `free`."""
    return "free" if (tier == "local" and usd is None) or (tier in OWN_TIERS and usd == 0) else money(usd)


def model(name: str) -> str:
    """A model as it is shown: of a file named by its whole path, the file."""
    return name.rpartition("/")[2] if name.startswith("/") else name


def place(number: int) -> str:
    """`2nd`, `11th`, `23rd`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def lane(instance: str, name: str) -> str:
    """`box/qwen3-32b`."""
    return f"{instance}/{model(name)}"


def spent_today(usd: float, unknown: int = 0) -> str:
    """The strip's sentence; requests of unknown price are said, not hidden."""
    text = f"{money(usd) if 0 < usd < 0.01 else f'${usd:,.2f}'} today"
    return f"{text}, {unknown} of unknown price" if unknown else text


def share(part: float) -> str:
    """`73 %` with the space the language asks for."""
    return f"{round(part * 100)} %"


def clock_time(moment: datetime) -> str:
    """`14:02`, in the zone of `moment`."""
    # A tenth of what a format string takes: a chat has hundreds.
    return f"{moment.hour:02}:{moment.minute:02}"


def list_time(moment: datetime, now: datetime) -> str:
    """A list's time column: the hour today and yesterday, the weekday for a week, then the date."""
    days = (now.date() - moment.date()).days
    if days <= 1:
        return clock_time(moment)
    if days < 7:
        return f"{moment:%a}"
    return _date(moment.date(), now.date())


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `2 minutes ago`, `3 hours ago`, `4 days ago`, then the date."""
    seconds = max(0.0, (now - moment).total_seconds())
    if seconds < 45:
        return "just now"
    for unit, length_s, bound_s in (
        ("minute", 60, 3600),
        ("hour", 3600, 86_400),
        ("day", 86_400, 7 * 86_400),
    ):
        if seconds < bound_s:
            number = max(1, round(seconds / length_s))
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return _date(moment.date(), now.date())


def group_of(moment: datetime, now: datetime) -> str:
    """The caption a conversation stands under: Today, Yesterday, Previous 7 days, then months."""
    days = (now.date() - moment.date()).days
    if days <= 0:
        return "Today"
    if days == 1:
        return "Yesterday"
    if days <= 7:
        return "Previous 7 days"
    return f"{moment:%B}" if moment.year == now.year else f"{moment:%B %Y}"


def left(done_bytes: int, total_bytes: int, bytes_per_s: float) -> str:
    """The rest of a download: `5 min left`, or nothing where it cannot be known."""
    if bytes_per_s <= 0 or total_bytes <= done_bytes:
        return ""
    seconds = timedelta(seconds=(total_bytes - done_bytes) / bytes_per_s).total_seconds()
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    if seconds < 3600:
        return f"{round(seconds / 60)} min left"
    return f"{seconds / 3600:.1f} h left" if seconds < 2 * 86_400 else f"{seconds / 86_400:.0f} days left"


def licence(name: str) -> str:
    """A licence as its authors spell it: `Apache-2.0`, `MIT`."""
    return LICENCES.get(name.strip().lower().replace(" ", "-"), name.strip())


def plural(number: int, noun: str) -> str:
    """`1 chat`, `3 chats`."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def title_of(text: str, length_max: int = 60) -> str:
    """The first line of a text, cut at a word, for a title made before the engine has one."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "New chat")
    if len(line) <= length_max:
        return line
    cut = line[:length_max].rsplit(" ", 1)[0] or line[:length_max]
    return f"{cut}…"


def _date(day: date, today: date) -> str:
    text = f"{day.day} {day:%b}"
    return text if day.year == today.year else f"{text} {day.year}"
