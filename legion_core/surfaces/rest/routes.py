"""The one route table: everything this surface answers to."""

from legion_core.surfaces.rest import openapi
from legion_core.surfaces.rest.calls import Operation
from legion_core.surfaces.rest.operations import (
    audit,
    chains,
    conversations,
    dialects,
    events,
    extensions,
    gemini,
    gemini_embeddings,
    health,
    hooks,
    ledger,
    mcp_endpoint,
    metrics,
    model_lists,
    models,
    nodes,
    ollama,
    ollama_models,
    previews,
    privacy,
    providers,
    rbac,
    responses,
    routes,
    runs,
    schedules,
    settings,
    tasks,
)


def operations() -> tuple[Operation, ...]:
    """All of it, in the order in which paths are matched."""
    table = (
        *health.OPERATIONS,
        *metrics.OPERATIONS,
        *dialects.OPERATIONS,
        *responses.OPERATIONS,
        *ollama.OPERATIONS,
        *ollama_models.OPERATIONS,
        *gemini.OPERATIONS,
        *gemini_embeddings.OPERATIONS,
        *model_lists.OPERATIONS,
        *nodes.OPERATIONS,
        *models.OPERATIONS,
        *providers.OPERATIONS,
        *routes.OPERATIONS,
        *conversations.OPERATIONS,
        *privacy.OPERATIONS,
        *ledger.OPERATIONS,
        *tasks.OPERATIONS,
        *chains.OPERATIONS,
        *runs.OPERATIONS,
        *extensions.OPERATIONS,
        *previews.OPERATIONS,
        *schedules.OPERATIONS,
        *hooks.OPERATIONS,
        *settings.OPERATIONS,
        *rbac.OPERATIONS,
        *audit.OPERATIONS,
        *events.OPERATIONS,
        *mcp_endpoint.OPERATIONS,
    )
    return (*table, openapi.operation(table))
