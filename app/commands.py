"""Every command of the window, once, as data: menus, palette, tooltips, shortcuts and tests all read this list.

A command is named `subject.verb`. `when` names the condition under which it can run; the window answers it. What a
command does is bound by the window that owns the parts it works on (`Commands.bind`), so this module knows no Qt.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Condition = str  # `always`, `chat`, `answer`, `running`, `engine`, `updates`


@dataclass(frozen=True, slots=True)
class Command:
    """What can be done. `shortcut` is in Qt's portable spelling, where Ctrl is ⌘ on macOS; `icon` a Lucide name."""

    id: str
    title: str
    shortcut: str = ""
    icon: str = ""
    when: Condition = "always"
    group: str = "Window"
    is_single_key: bool = False  # works only where no text is being edited
    words: str = ""  # further words a person may type to find it


PAGE_KEYS = "1234567890"
# The rail's order is a contract: a page keeps its key while others are not built yet.
PAGES: tuple[tuple[str, str, str], ...] = (
    ("chat", "Chat", "message-square"),
    ("models", "Models", "box"),
    ("routing", "Routing", "route"),
    ("chains", "Chains", "workflow"),
    ("schedules", "Schedules", "calendar-clock"),
    ("mind", "Mind", "brain"),
    ("knowledge", "Knowledge", "library"),
    ("fleet", "Fleet", "server"),
    ("connect", "Connect", "plug"),
    ("activity", "Activity", "activity"),
)
BUILT_PAGES = ("chat", "models", "routing", "chains", "activity", "schedules", "connect")


def page_key(page: str) -> str:
    """The shortcut of a page: `Ctrl+1` for Chat, `Ctrl+0` for the tenth, `Ctrl+,` for Settings."""
    if page == "settings":
        return "Ctrl+,"
    return "Ctrl+" + PAGE_KEYS[[name for name, _, _ in PAGES].index(page)]


def _pages() -> Iterable[Command]:
    for name, title, icon in PAGES:
        if name in BUILT_PAGES:
            yield Command(f"page.{name}", title, page_key(name), icon, group="Go to", words="open page")


COMMANDS: tuple[Command, ...] = (
    *_pages(),
    Command("page.settings", "Settings", "Ctrl+,", "settings", group="Go to", words="preferences options"),
    Command("chat.new", "New chat", "Ctrl+N", "square-pen", group="Chat"),
    Command("chat.search", "Search chats", "Ctrl+Shift+F", "search", group="Chat"),
    Command("chat.find", "Find in this chat", "Ctrl+F", "search", group="Chat"),
    Command("chat.rename", "Rename this chat", "", "pencil", "chat", "Chat"),
    Command("chat.pin", "Pin or unpin this chat", "", "pin", "chat", "Chat"),
    Command(
        "chat.tools",
        "Tools of this chat",
        "Ctrl+Shift+T",
        "wrench",
        group="Chat",
        words="mcp servers functions",
    ),
    Command(
        "chat.curation",
        "Show what the model will see",
        "",
        "scissors",
        "chat",
        "Chat",
        words="curation context tokens",
    ),
    Command(
        "chat.private",
        "Keep this chat on this computer, or no longer",
        "",
        "lock",
        group="Chat",
        words="private secret local privacy",
    ),
    Command("chat.trash", "Move this chat to Trash", "", "trash-2", "chat", "Chat", words="delete remove"),
    Command("chat.trash.show", "Show Trash", "", "archive", "always", "Chat", words="restore deleted"),
    Command(
        "chat.export", "Export this chat…", "Ctrl+Shift+S", "download", "chat", "Chat", words="save markdown"
    ),
    Command(
        "chat.import", "Import chats…", "", "upload", "always", "Chat", words="chatgpt claude export zip"
    ),
    Command("answer.stop", "Stop the answer", "", "square", "running", "Chat"),
    Command("answer.copy", "Copy the last answer", "Ctrl+Shift+C", "copy", "answer", "Chat"),
    Command("answer.copyCode", "Copy the last code block", "Ctrl+Shift+;", "copy", "answer", "Chat"),
    Command(
        "answer.regenerate",
        "Answer again",
        "Ctrl+R",
        "refresh-cw",
        "answer",
        "Chat",
        words="regenerate retry",
    ),
    Command(
        "answer.trace", "Show the route of the last answer", "", "route", "answer", "Chat", words="trace why"
    ),
    Command("question.edit", "Edit your last message", "Ctrl+Up", "pencil", "answer", "Chat"),
    Command("palette.open", "Search everything", "Ctrl+K", "search", words="command palette"),
    Command("side.toggle", "Show or hide the side column", "Ctrl+B", "panel-right", words="sidebar list"),
    Command("inspector.toggle", "Show or hide the inspector", "Ctrl+I", "panel-right", words="details panel"),
    Command("pane.next", "Go to the next pane", "F6"),
    Command("pane.previous", "Go to the previous pane", "Shift+F6"),
    Command(
        "models.import", "Import a model file…", "", "folder-input", "engine", "Models", words="gguf add"
    ),
    Command("models.discover", "Discover models", "", "search", group="Models", words="download catalogue"),
    Command(
        "models.providers", "Providers", "", "plug", group="Models", words="api key openai anthropic ollama"
    ),
    Command("models.engines", "Engines", "", "cpu", group="Models", words="llama health"),
    Command(
        "models.unload", "Unload all models", "", "upload", "engine", "Models", words="eject free memory"
    ),
    Command(
        "activity.failed", "What failed", "", "circle-x", group="Activity", words="errors tasks requests"
    ),
    Command(
        "activity.unrun",
        "What did not run, and why",
        "",
        "circle-minus",
        group="Activity",
        words="skipped blocked",
    ),
    Command("activity.slow", "What was slow", "", "gauge", group="Activity", words="waterfall time"),
    Command(
        "activity.export", "Export activity…", "", "download", "engine", "Activity", words="csv json save"
    ),
    Command(
        "activity.live",
        "Follow activity or stand still",
        "",
        "activity",
        group="Activity",
        words="pause live",
    ),
    Command(
        "routing.try", "Try a route", "", "flask-conical", group="Routing", words="simulate explain where why"
    ),
    Command("routing.spend", "Spend", "", "wallet", group="Routing", words="cost money ledger bill price"),
    Command(
        "routing.policies",
        "Policies",
        "",
        "shield",
        group="Routing",
        words="local only privacy tier limit budget",
    ),
    Command(
        "chains.new", "New chain", "Ctrl+Shift+N", "plus", "engine", "Chains", words="workflow automation"
    ),
    Command("chains.run", "Run the open chain", "", "play", "engine", "Chains", words="start workflow"),
    Command("chains.dry", "Dry run of the open chain", "", "flask-conical", "engine", "Chains", words="test"),
    Command(
        "chains.list", "Show the chain as a list", "", "list", "engine", "Chains", words="tree accessible"
    ),
    Command("chains.text", "Show the chain as text", "", "braces", "engine", "Chains", words="yaml source"),
    Command("chains.graph", "Show the chain as a graph", "", "workflow", "engine", "Chains", words="canvas"),
    Command(
        "chains.import", "Import a chain…", "", "upload", "engine", "Chains", words="yaml json file open"
    ),
    Command("chains.export", "Export the open chain…", "", "download", "engine", "Chains", words="yaml save"),
    Command(
        "schedules.new",
        "New schedule",
        "",
        "plus",
        group="Schedules",
        words="cron every repeat timer automate",
    ),
    Command("schedules.runNow", "Run the chosen schedule now", "", "play", "engine", "Schedules"),
    Command("schedules.history", "History of the chosen schedule", "", "history", group="Schedules"),
    Command(
        "connect.serve", "Connect an app", "", "plug", group="Connect", words="mcp editor cursor zed claude"
    ),
    Command(
        "connect.add", "Add an MCP server…", "", "server", "engine", "Connect", words="tools of others use"
    ),
    Command(
        "connect.api",
        "Addresses for other programs",
        "",
        "link",
        group="Connect",
        words="api base url openai",
    ),
    Command(
        "connect.network", "Hosts contacted", "", "globe", group="Connect", words="network outbound privacy"
    ),
    Command(
        "connect.pause", "Pause or resume the MCP server", "", "pause", "engine", "Connect", words="calls"
    ),
    Command("theme.light", "Theme: light", "", "palette", group="Appearance"),
    Command("theme.dark", "Theme: dark", "", "palette", group="Appearance"),
    Command("theme.highContrast", "Theme: high contrast", "", "palette", group="Appearance"),
    Command("theme.system", "Theme: as the system", "", "palette", group="Appearance"),
    Command("text.larger", "Larger text", "Ctrl+=", "zoom-in", group="Appearance", words="zoom scale"),
    Command("text.smaller", "Smaller text", "Ctrl+-", "zoom-out", group="Appearance", words="zoom scale"),
    Command("text.reset", "Normal text size", "Ctrl+Shift+0", "scan", group="Appearance", words="zoom scale"),
    Command("help.shortcuts", "Keyboard shortcuts", "Ctrl+/", "keyboard", group="Help"),
    Command(
        "help.wizard", "Run the set-up again", "", "history", group="Help", words="first run wizard welcome"
    ),
    Command("help.about", "About Legion Workbench", "", "info", group="Help", words="version licences help"),
    Command("window.close", "Close the window", "Ctrl+W", "x"),
    Command("app.quit", "Quit", "Ctrl+Q", "log-out", words="exit"),
)

BY_ID: dict[str, Command] = {command.id: command for command in COMMANDS}


@dataclass(slots=True)
class Commands:
    """The commands with what they do, as bound by the window. Running an unbound or disallowed one does nothing."""

    runs: dict[str, Callable[[], None]] = field(default_factory=dict[str, Callable[[], None]])
    conditions: dict[Condition, Callable[[], bool]] = field(
        default_factory=dict[Condition, Callable[[], bool]]
    )

    def bind(self, command_id: str, run: Callable[[], None]) -> None:
        """Say what a command does; KeyError for an id that is not in the list."""
        self.runs[BY_ID[command_id].id] = run

    def can(self, command_id: str) -> bool:
        """Whether it is bound and its condition holds now."""
        command = BY_ID[command_id]
        condition = self.conditions.get(command.when)
        return command_id in self.runs and (condition is None or condition())

    def run(self, command_id: str) -> bool:
        """Run it if it can; whether it ran."""
        if not self.can(command_id):
            return False
        self.runs[command_id]()
        return True

    def available(self) -> tuple[Command, ...]:
        """All that can run now, in the order of the list."""
        return tuple(command for command in COMMANDS if self.can(command.id))


def tip(command_id: str, text: str = "") -> str:
    """A tooltip: the command's title (or `text`) and its keys, `Routing  Ctrl 3`."""
    command = BY_ID[command_id]
    keys = spoken(command.shortcut)
    return f"{text or command.title}  {keys}" if keys else text or command.title


def spoken(shortcut: str, is_mac: bool = False) -> str:
    """Keys as a key cap shows them: `Ctrl Shift F`, on macOS `⇧⌘F`."""
    if not shortcut:
        return ""
    head, plus, last = shortcut.rpartition("+")
    if not last:  # the plus key itself
        head, last = head.rstrip("+"), "+"
    parts = head.split("+") if plus and head else []
    if is_mac:
        signs = {"Ctrl": "⌘", "Shift": "⇧", "Alt": "⌥", "Meta": "⌃"}
        order = ["Meta", "Alt", "Shift", "Ctrl"]
        return "".join(signs[part] for part in sorted(parts, key=order.index)) + last
    return " ".join([*parts, last])
