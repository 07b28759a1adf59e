"""Every promise and number of the system this workbench implements, as one list.

A test says which promise it keeps by `@pytest.mark.requirement("id")`. `tests/arch/test_requirements.py` holds both
directions: a promise marked kept has a test, and a mark names a promise that exists. An open one is not yet built.
"""

from dataclasses import dataclass
from typing import Literal

Status = Literal["open", "kept"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One promise: what must hold, in our words."""

    id: str
    sentence: str
    status: Status = "open"


REQUIREMENTS: tuple[Requirement, ...] = (
    # The whole
    Requirement(
        "whole.no-infrastructure",
        "Lite mode needs no broker, no cache server and no database server.",
        "kept",
    ),
    Requirement(
        "whole.layers-optional",
        "Each layer can be left out: the gateway runs without the task engine.",
        "kept",
    ),
    Requirement("whole.engine-without-ai", "The task engine runs without any model.", "kept"),
    Requirement(
        "whole.nothing-gated",
        "Access control, audit and every operational switch are in the one open edition.",
    ),
    Requirement(
        "whole.five-minutes",
        "From a fresh checkout, one command leads to a first result with no server set up.",
    ),
    Requirement(
        "whole.full-mode", "Full mode swaps the in-process bus for RabbitMQ; every feature works in both."
    ),
    Requirement("whole.licence", "The core is under Apache-2.0.", "kept"),
    # Task engine
    Requirement(
        "engine.chain",
        "A task leads through a condition to a task and through a transformation to the next.",
        "kept",
    ),
    Requirement("engine.conditions", "Conditions on an edge decide whether the next task runs.", "kept"),
    Requirement("engine.transforms", "Transformations shape the next task's arguments from results.", "kept"),
    Requirement("engine.fan-out", "A chain fans out into parallel branches and joins them.", "kept"),
    Requirement("engine.dependency-graph", "Tasks chain into dependency graphs.", "kept"),
    Requirement(
        "engine.actors.subscription", "A subscription actor runs for each message of its queue.", "kept"
    ),
    Requirement(
        "engine.actors.poll", "A poll actor looks at a source again and again and acts on changes.", "kept"
    ),
    Requirement("engine.actors.every", "An every actor runs at a fixed interval.", "kept"),
    Requirement("engine.actors.once", "A once actor runs one time at start.", "kept"),
    Requirement("engine.actors.loop", "A loop actor runs again as soon as it ends.", "kept"),
    Requirement(
        "engine.actors.singleton", "A singleton actor runs at one place of all processes at a time.", "kept"
    ),
    Requirement("engine.actors.nothing", "A nothing actor exists and never runs by itself.", "kept"),
    Requirement(
        "engine.actors.absorber",
        "An absorber-dispatch actor hands matching input to the absorber that takes it.",
        "kept",
    ),
    Requirement("engine.actors.eight", "There are exactly eight kinds of actor.", "kept"),
    Requirement("engine.cron", "Tasks run by cron expressions over any number of processes.", "kept"),
    Requirement("engine.interval-lock", "An interval lock lets each scheduled moment fire once.", "kept"),
    Requirement(
        "engine.spool", "A JSONL spool on disk keeps messages through a broker outage and drains in order."
    ),
    Requirement("engine.scale-out", "More processes take more work; the broker shares it out."),
    Requirement(
        "extensions.dropped-in",
        "An extension dropped in while the node runs has its actors begun by themselves.",
        "kept",
    ),
    Requirement("engine.tries", "Every try of a task is kept: when it began, when it ended and how.", "kept"),
    Requirement("engine.http-task", "`legion task run http.request.get url:…` fetches an address.", "kept"),
    Requirement("engine.pubsub-lite", "Lite mode has in-process publish and subscribe.", "kept"),
    Requirement("engine.cache-lite", "Lite mode has an in-memory cache."),
    # Routing of the gateway
    Requirement("gateway.any-to-any", "Any client's protocol is answered by any provider.", "kept"),
    Requirement(
        "gateway.tiers",
        "Models stand in five tiers: local 0, direct 1, fleet 2, cloud 3, frontier 4.",
        "kept",
    ),
    Requirement(
        "gateway.cheapest-first", "A request tries the cheapest tier that is able to answer.", "kept"
    ),
    Requirement("gateway.escalate-failure", "A failure escalates to the next tier.", "kept"),
    Requirement(
        "gateway.escalate-capability", "A capability that a tier lacks escalates to one that has it.", "kept"
    ),
    Requirement(
        "gateway.explained",
        "`legion route explain` names first the model that would answer, or nobody.",
        "kept",
    ),
    Requirement(
        "gateway.learned-order",
        "Where a bad answer is said to cost something, a model whose answers were no good comes after the others.",
        "kept",
    ),
    Requirement("gateway.circuit-window", "Health counts failures within 300 seconds.", "kept"),
    Requirement("gateway.circuit-trip", "Three failures trip an instance's circuit.", "kept"),
    Requirement(
        "gateway.circuit-cooldown", "A tripped circuit rests for 60 seconds before its probe.", "kept"
    ),
    Requirement("gateway.circuit-per-instance", "Availability is kept for each provider instance.", "kept"),
    Requirement(
        "gateway.mid-stream",
        "A provider that dies mid-stream is replaced and the client's stream goes on.",
        "kept",
    ),
    Requirement(
        "chat.private",
        "A chat that is marked to be kept on this computer never leaves it, from its first word on.",
        "kept",
    ),
    Requirement(
        "conversations.stored-once",
        "A conversation with its archive takes no more than 1.2 times the bytes that were said; a text is stored once.",
        "kept",
    ),
    Requirement(
        "conversations.import",
        "Exports of ChatGPT and Claude and JSON lines come in whole, once, and later only what is new.",
        "kept",
    ),
    Requirement(
        "conversations.export",
        "An exported conversation taken in again is the same; as a page it holds its pictures and runs nothing.",
        "kept",
    ),
    Requirement(
        "conversations.verified",
        "Messages are linked by hashes; a damaged one is found and named, and the rest stays readable.",
        "kept",
    ),
    Requirement(
        "gateway.come-back",
        "A client whose node is killed in mid-answer hears the rest after a restart, nothing lost or twice.",
        "kept",
    ),
    Requirement("gateway.sdks", "The official libraries parse every answer of the gateway.", "kept"),
    Requirement(
        "gateway.coding-clients",
        "Claude Code, Codex and opencode work through the gateway, also when an upstream is killed on the way.",
        "kept",
    ),
    Requirement("gateway.fleet", "Requests are dispatched to pooled workstation GPUs."),
    Requirement("gateway.standalone", "The gateway is usable by itself.", "kept"),
    # Providers of the gateway
    Requirement(
        "provider.contract",
        "One contract says what a provider is; every adapter passes the same suite.",
        "kept",
    ),
    Requirement("provider.install-only-used", "An adapter that is not used costs nothing.", "kept"),
    Requirement("provider.anthropic", "Anthropic answers.", "kept"),
    Requirement("provider.openai", "OpenAI answers.", "kept"),
    Requirement("provider.bedrock", "Bedrock answers.", "kept"),
    Requirement("provider.gemini", "Gemini answers.", "kept"),
    Requirement("provider.vertex", "Vertex answers.", "kept"),
    Requirement("provider.azure-foundry", "Azure Foundry answers.", "kept"),
    Requirement("provider.ollama", "Ollama answers.", "kept"),
    Requirement("provider.vllm", "vLLM answers.", "kept"),
    Requirement("provider.mlx", "MLX answers.", "kept"),
    Requirement("provider.local", "A model on this machine answers with no server of its own.", "kept"),
    # Curation and the ledger
    Requirement(
        "curation.seen",
        "The window shows how much of a chat is sent, what the model will see, and takes it back.",
        "kept",
    ),
    Requirement("curation.off-path", "History is curated after the turn, off the request's path.", "kept"),
    Requirement(
        "curation.first-view",
        "A long history that was never seen, such as an imported chat, is curated before it goes out.",
        "kept",
    ),
    Requirement(
        "curation.strip-thinking", "strip_thinking removes thinking that no later turn needs.", "kept"
    ),
    Requirement(
        "curation.distill-tool-result",
        "distill_tool_result shortens tool results to what they said.",
        "kept",
    ),
    Requirement(
        "curation.fold-resolved", "fold_resolved_exchanges folds exchanges that are settled.", "kept"
    ),
    Requirement(
        "curation.evict-superseded", "evict_superseded removes what a later message replaced.", "kept"
    ),
    Requirement("curation.dedup-similar", "dedup_similar keeps one of several near-equal parts.", "kept"),
    Requirement(
        "curation.drop-and-archive",
        "drop_and_archive moves overflow to the archive, not away.",
        "kept",
    ),
    Requirement("curation.deterministic", "All six strategies are deterministic.", "kept"),
    Requirement(
        "curation.matched",
        "A resent history is known by its content, by its session's name and by x-legion-conversation.",
        "kept",
    ),
    Requirement(
        "curation.broken-histories",
        "Of a broken history, an edit meanwhile or a curator killed midway every wire gets legal turns, and nothing said is lost.",
        "kept",
    ),
    Requirement(
        "curation.never-dearer",
        "Curation bills no stage of a session more than 1 % above leaving it alone, whenever the session ends.",
        "kept",
    ),
    Requirement(
        "curation.savings",
        "The ledger and Activity say what curation saved of each request, caches counted; an unknown price stays unknown.",
        "kept",
    ),
    Requirement(
        "curation.turn-1",
        "At 1 turn the reduction against a full resend is about nothing (-0.1 %).",
        "kept",
    ),
    Requirement("curation.turns-2-3", "At 2 to 3 turns the reduction is 9.6 %."),
    Requirement("curation.turns-4-5", "At 4 to 5 turns the reduction is 13.3 %."),
    Requirement("curation.turns-6-9", "At 6 to 9 turns the reduction is 23.6 %."),
    Requirement("curation.turns-10-19", "At 10 to 19 turns the reduction is 54.3 %.", "kept"),
    Requirement("curation.turns-20-49", "At 20 to 49 turns the reduction is 72.8 %.", "kept"),
    Requirement(
        "curation.turns-50", "At 50 turns and more the reduction is 97.7 %: 1.13 M tokens a turn become 26 K."
    ),
    Requirement(
        "ledger.all-requests",
        "The ledger holds every request, so that figures can be counted from it.",
        "kept",
    ),
    Requirement(
        "ledger.behind",
        "An answer does not wait for its bill to be written, and no kill loses a bill of an answer that was given.",
        "kept",
    ),
    Requirement(
        "ledger.killed",
        "Answers cut by a kill are billed as far as they had come, with every attempt, and their budget stays held.",
        "kept",
    ),
    # Surfaces
    Requirement("mcp.stdio-and-http", "`legion mcp` serves MCP over stdio and over streamable HTTP.", "kept"),
    Requirement(
        "connect.byte-equal",
        "A program that was connected and let go has its files back byte for byte.",
        "kept",
    ),
    Requirement(
        "connect.only-our-keys",
        "Where others changed a file since, only our own keys are taken out, and this is said.",
        "kept",
    ),
    Requirement(
        "connect.never-invalid", "No file that Connect writes is refused by the program's own parser.", "kept"
    ),
    Requirement(
        "mcp.session-forgotten",
        "A server at an address that was started anew is called in a new session, and nothing is done twice.",
        "kept",
    ),
    Requirement("mcp.runtime-tools", "Tools are found at run time from what is installed.", "kept"),
    Requirement(
        "mcp.cross-talk",
        "A hundred MCP clients that use the same request ids hear only their own answers.",
        "kept",
    ),
    Requirement(
        "mcp.rebinding", "A web page that reaches loopback gets nothing of MCP, token or not.", "kept"
    ),
    Requirement("mcp.session-bound", "An MCP session belongs to the token that opened it.", "kept"),
    Requirement(
        "mcp.headers-match",
        "An MCP request whose headers name something else than its body is refused.",
        "kept",
    ),
    Requirement(
        "mcp.approval-bound",
        "Another's MCP server is called only while its launch and its tools are what the user said yes to.",
        "kept",
    ),
    Requirement(
        "chat.tools",
        "In a chat the tools of an approved MCP server are offered to a model, and called once a person said yes.",
        "kept",
    ),
    Requirement(
        "chat.tools-attacks",
        "What a bad server says or gives makes a chat call nothing that was not allowed, and fetches nothing.",
        "kept",
    ),
    Requirement(
        "chat.tools-resumed",
        "A killed workbench's answer goes on with its tools; what waited is asked for again, nothing is called twice unasked.",
        "kept",
    ),
    Requirement(
        "chat.tools-killed",
        "A call that was under way when the workbench was killed is told as one whose end is not known.",
        "kept",
    ),
    Requirement(
        "mcp.approval-diff",
        "A question whether a call may be made shows its arguments and what would change, line by line.",
        "kept",
    ),
    Requirement(
        "audit.mcp",
        "Servers registered, approved, switched and removed, grants and decisions are in the audit log.",
        "kept",
    ),
    Requirement("cli.start", "`legion start` starts the engine.", "kept"),
    Requirement("cli.chat", "`legion chat` is a conversation with tools, memory and subagents."),
    Requirement("cli.json", "Every command takes --json.", "kept"),
    Requirement("rest.port", "The REST interface answers on port 4567 under /api/v1.", "kept"),
    Requirement("rest.tasks", "GET /api/v1/tasks lists tasks.", "kept"),
    Requirement("rest.openapi", "The REST interface has an OpenAPI 3.1 description.", "kept"),
    Requirement(
        "rest.described",
        "Every answer of the HTTP surface is one its description has, and none is a failure.",
        "kept",
    ),
    # Knowledge
    Requirement("knowledge.retrieval", "Retrieval adds what is known to a request."),
    Requirement("knowledge.embeddings", "Texts are found by meaning through embeddings."),
    Requirement("knowledge.decay", "Confidence in what is known decays."),
    Requirement(
        "knowledge.passive", "The store does little until something uses it; without it nothing breaks."
    ),
    # Access control
    Requirement("rbac.flat-policies", "Access is decided by flat path policies.", "kept"),
    Requirement("rbac.standalone", "Access control is usable by itself.", "kept"),
    Requirement("rbac.audit", "An audit ledger records what was decided and done.", "kept"),
    Requirement("rbac.identity", "Callers have identities.", "kept"),
    Requirement(
        "rbac.secrets", "Secrets come from a keyring or a vault, never from the configuration file.", "kept"
    ),
    Requirement(
        "network.one-way-out", "Whatever leaves this computer goes through one fetch function.", "kept"
    ),
    Requirement(
        "network.blocks", "A block of a host, and being offline, hold at once and over restarts.", "kept"
    ),
    Requirement(
        "mcp.sign-in", "Tokens of a sign-in lie in the store of secrets alone and end with it.", "kept"
    ),
    Requirement("audit.complete", "Whatever changes something leaves an entry with who and what.", "kept"),
    # Cognition
    Requirement("cognition.tick-16", "A tick has 16 phases."),
    Requirement("cognition.dream-10", "The idle-time cycle has 10 phases."),
    Requirement("cognition.dormant", "Dormant mode has a budget of 0.2 s."),
    Requirement("cognition.sentinel", "Sentinel mode has a budget of 0.5 s."),
    Requirement("cognition.full", "Full mode has a budget of 5.0 s."),
    Requirement("cognition.strengthen", "A connection strengthens when its chain succeeds."),
    Requirement("cognition.decay", "A connection that is not used decays."),
    Requirement("cognition.cheaper", "Paths that often succeed become cheaper to choose."),
    Requirement("cognition.consolidate", "The idle-time cycle consolidates memory and feeds retrieval."),
    Requirement("cognition.optional", "Without this layer none of it exists; it has to prove its worth."),
    # How it is built
    Requirement("craft.tests-to-code", "There is about as much test as code."),
    Requirement("craft.reproducible", "Every figure can be measured again by a command.", "kept"),
)
BY_ID = {requirement.id: requirement for requirement in REQUIREMENTS}
