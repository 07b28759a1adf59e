"""What every view of one window shares: the bridge, the commands, the view-models, and what is remembered."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from app.bridge import Bridge
from app.commands import Commands
from app.viewmodels.chat import ChatViewModel
from app.viewmodels.conversations import ConversationsViewModel
from app.viewmodels.mcp import McpViewModel
from app.viewmodels.models import ModelsViewModel
from app.viewmodels.providers import ProvidersViewModel
from app.viewmodels.settings import SettingsViewModel
from app.viewmodels.status import StatusViewModel
from app.views.drafts import NewDraft
from app.views.store import Store


@dataclass(slots=True)
class Services:
    """One per window. `now` gives local time with its zone; `home` is the data directory."""

    bridge: Bridge
    store: Store
    now: Callable[[], datetime]
    home: Path
    commands: Commands = field(default_factory=Commands)
    chats: ConversationsViewModel = field(init=False)
    chat: ChatViewModel = field(init=False)
    models: ModelsViewModel = field(init=False)
    providers: ProvidersViewModel = field(init=False)
    settings: SettingsViewModel = field(init=False)
    status: StatusViewModel = field(init=False)
    mcp: McpViewModel = field(init=False)

    def __post_init__(self) -> None:
        self.chats = ConversationsViewModel(self.bridge, self.now)
        kept = NewDraft(self.home)
        self.chat = ChatViewModel(self.bridge, self.now, draft=kept.read(), keep_draft=kept.keep)
        self.models = ModelsViewModel(self.bridge, self.now)
        self.providers = ProvidersViewModel(self.bridge)
        self.settings = SettingsViewModel(self.bridge)
        self.status = StatusViewModel(self.bridge)
        self.mcp = McpViewModel(self.bridge)
