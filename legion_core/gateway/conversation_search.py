"""Words found in conversations: which hold them all, and the newest passage of each."""

import re
import unicodedata

from legion_core.gateway.conversation_rows import batch, words_of
from legion_core.gateway.packing import names, unpack_where_possible
from legion_core.gateway.texts import fetch
from legion_core.storage.sqlite import Connection, rows

HITS_MAX = 500
WORDS_MAX = 32
TOKENS_BEFORE, TOKENS_SHOWN = 3, 12
LOOKED_AT_MAX = 400_000  # characters of a message that a passage is looked for in
# Letters to Python, separators to the index: it knows an older Unicode.
_WORD = re.compile(r"[^\W_\u19b0-\u19c0\u19c8\u19c9\u1cf2\u1cf3]+")


def tokens(query: str) -> list[str]:
    """A query's words as the index knows them: letters and digits, without marks and case."""
    return [folded(word)[:64] for word in _WORD.findall(unicodedata.normalize("NFC", query))][:WORDS_MAX]


def matches(connection: Connection, query: str) -> dict[str, str]:
    """Conversation ids whose messages hold words that begin so, all in one message, with the newest passage of each."""
    words = tokens(query)
    if not words:
        return {}
    expression = " ".join(f'"{word}"*' for word in words)
    found = rows(
        connection,
        "SELECT m.conversation_id, m.n FROM messages_words JOIN messages m ON m.n = messages_words.rowid "
        "WHERE messages_words MATCH ? ORDER BY messages_words.rowid DESC LIMIT ?",
        [expression, HITS_MAX],
    )
    newest = dict[str, int]()
    for conversation_id, n in found:
        newest.setdefault(str(conversation_id), int(n))
    return {name: passage(_text(connection, n), words) for name, n in newest.items()}


def passage(text: str, words: list[str]) -> str:
    """A dozen words of a text around the first that begins like one of `words`, each such word between «»."""
    looked_at = text[:LOOKED_AT_MAX]
    flat = folded(looked_at)
    found = list(_WORD.finditer(flat))
    hit = next((at for at, word in enumerate(found) if _begins(word[0], words)), None)
    if hit is None:
        return looked_at[:120]
    first = max(0, hit - TOKENS_BEFORE)
    shown = found[first : first + TOKENS_SHOWN]
    parts, at = ["…" if first else ""], 0 if not first else shown[0].start()
    for word in shown:
        if _begins(word[0], words):
            parts += [looked_at[at : word.start()], "«", looked_at[word.start() : word.end()], "»"]
            at = word.end()
    is_cut = first + TOKENS_SHOWN < len(found)
    parts += [looked_at[at : shown[-1].end() if is_cut else len(looked_at)], "…" if is_cut else ""]
    return "".join(parts)


def folded(text: str) -> str:
    """Without case and marks, letter for letter in the same places."""
    if text.isascii():
        return text.lower()
    return "".join(_plain(char) for char in text)


def _plain(char: str) -> str:
    lower = unicodedata.normalize("NFD", char)[0].lower()
    return lower if len(lower) == 1 else char


def _begins(word: str, words: list[str]) -> bool:
    return any(word.startswith(each) for each in words)


def _text(connection: Connection, n: int) -> str:
    found = batch(connection, "n = ?", [n])
    if not found:
        return ""
    if found[0].text:
        return found[0].text
    texts = fetch(connection, names(found[0].content, lambda kind: kind == "text"))
    return words_of(unpack_where_possible(found[0].content, texts)[0])
