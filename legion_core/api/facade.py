"""Everything a surface or the window may ask of a node, by subject."""

from dataclasses import dataclass

from legion_core.api.activity import Activity
from legion_core.api.actors import Actors
from legion_core.api.audit import Audit
from legion_core.api.chains import Chains
from legion_core.api.connect import Connect
from legion_core.api.curation import CurationDoor
from legion_core.api.extensions import Extensions
from legion_core.api.llm import Llm
from legion_core.api.mcp import Mcp
from legion_core.api.models import Models
from legion_core.api.network import Network
from legion_core.api.ops import Ops
from legion_core.api.providers import Providers
from legion_core.api.rbac import RbacDoor
from legion_core.api.routes import Routes
from legion_core.api.schedules import Schedules
from legion_core.api.secrets import SecretNames
from legion_core.api.settings import Settings
from legion_core.api.tasks import Tasks
from legion_core.api.tokens import Tokens
from legion_core.api.webhooks import Hooks
from legion_core.gateway.chat import Chat
from legion_core.kernel.events import EventBus


@dataclass(frozen=True, slots=True)
class Legion:
    """The door to a running node. Made by `legion_core.node` alone."""

    events: EventBus
    chat: Chat
    llm: Llm
    models: Models
    providers: Providers
    routes: Routes
    settings: Settings
    secrets: SecretNames
    ops: Ops
    tasks: Tasks
    chains: Chains
    activity: Activity
    extensions: Extensions
    schedules: Schedules
    hooks: Hooks
    actors: Actors
    mcp: Mcp
    tokens: Tokens
    rbac: RbacDoor
    audit: Audit
    network: Network
    connect: Connect
    curation: CurationDoor
