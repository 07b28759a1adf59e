"""The commands and their arguments. Nothing is imported here that a command needs: `--help` must be instant."""

import argparse
from collections.abc import Callable

from legion_core.surfaces.cli.parser import Group, Parser

_TIERS = ("local", "direct", "fleet", "cloud", "frontier")
_KINDS = (
    "anthropic",
    "openai",
    "bedrock",
    "gemini",
    "vertex",
    "azure_foundry",
    "ollama",
    "vllm",
    "mlx",
    "llamacpp",
)
_ABOUT = """\
AI on your own machine first. Without a command the desktop opens.

A command works through the running engine where there is one, else by itself. Environment: LEGION_HOME (where
everything is kept), LEGION_PORT, LEGION_TOKEN, LEGION_MODE, LEGION_LOG. Exit status: 0, 1 for an error, 2 for a
command line that cannot be understood."""


def parser(command: str = "") -> Parser:
    """The tree; the chosen command's name is in `command` and `action`.

    Where `command` is one, only what belongs to it is built: all of it takes 20 ms, which every command would wait for.
    """
    top = Parser(prog="legion", description=_ABOUT)
    top.add_argument("--version", action="store_true", help="print the version")
    commands = top.branch("command", word="COMMAND", is_required=False)
    wanted = PARTS.get(command)
    for part in [wanted] if wanted else dict.fromkeys(PARTS.values()):
        part(commands)
    return top


def _group(commands: Group, name: str, words: str) -> Group:
    return commands.add_parser(name, help=words).branch("action")


def _node(commands: Group) -> None:
    commands.add_parser("desktop", help="open the window")
    start = commands.add_parser("start", help="run the engine without a window, in the foreground")
    start.add_argument("--full", action="store_true", help="with RabbitMQ")
    start.add_argument("--host", metavar="H", help="address to listen on (default 127.0.0.1 and ::1)")
    start.add_argument("--port", metavar="N", type=int, help="port to listen on (default 4567)")
    start.add_argument("--detach", action="store_true", help="go on in the background")
    commands.add_parser("stop", help="end the running engine")
    commands.add_parser("status", help="is it running, where, and with what")
    commands.add_parser("doctor", help="check everything and say what to do")


def _chat(commands: Group) -> None:
    chat = commands.add_parser("chat", help="chat in the terminal")
    _pins(chat)
    chat.otherwise = 'One question is asked by `legion chat prompt "…"`. '
    actions = chat.branch("action", is_required=False)
    prompt = actions.add_parser("prompt", help="one question, one answer")
    prompt.add_argument("text", help="the question; - reads it from standard input")
    _pins(prompt, is_inner=True)


def _pins(parser: argparse.ArgumentParser, *, is_inner: bool = False) -> None:
    # The inner parser must not overwrite what was given before it.
    default = argparse.SUPPRESS if is_inner else None
    parser.add_argument("--tier", metavar="T", choices=_TIERS, default=default, help=", ".join(_TIERS))
    parser.add_argument("--model", metavar="M", default=default, help="answer by this model")
    parser.add_argument("--instance", metavar="I", default=default, help="answer on this instance")


def _tasks(commands: Group) -> None:
    task = _group(commands, "task", "run functions, and see what became of them")
    run = task.add_parser("run", help="run EXTENSION.RUNNER.FUNCTION with key:value arguments")
    run.add_argument("task", metavar="FUNCTION", help="such as http.request.get")
    run.add_argument("words", metavar="KEY:VALUE", nargs="*", help="such as url:https://example.org")
    run.add_argument("--delay", metavar="S", type=float, default=0.0, help="not before so many seconds")
    run.add_argument("--wait", action="store_true", help="wait for its end and print the result")
    run.add_argument("--key", metavar="KEY", default="", help="the same key gives the same task")
    listed = task.add_parser("list", help="newest first")
    listed.add_argument("--status", metavar="STATUS", default="", help="such as failed")
    listed.add_argument("--task", metavar="FUNCTION", default="", help="only this function")
    listed.add_argument("--limit", metavar="N", type=int, default=50)
    for action, words in (
        ("show", "its arguments, result and reason"),
        ("logs", "what it wrote"),
        ("cancel", "end it"),
        ("retry", "run again what failed"),
    ):
        task.add_parser(action, help=words).add_argument("id", metavar="ID")
    extension = _group(commands, "extension", "what can be run")
    extension.add_parser("list", help="all functions")
    extension.add_parser("info", help="what the functions of one take").add_argument("name", metavar="NAME")
    extension.add_parser("create", help="begin a new one").add_argument("name", metavar="NAME")
    worker = commands.add_parser("worker", help="run tasks in one more process")
    worker.add_argument("--calls", action="store_true", help=argparse.SUPPRESS)


def _schedules(commands: Group) -> None:
    schedule = _group(commands, "schedule", "what is done again and again")
    add = schedule.add_parser(
        "add", help="start a task or chain:NAME by a cron expression or every so many seconds"
    )
    add.add_argument("name", metavar="NAME")
    add.add_argument("target", metavar="TARGET", help="such as log.message.write, or chain:NAME")
    add.add_argument("words", metavar="KEY:VALUE", nargs="*", help="such as message:Hi")
    _timing(add)
    add.add_argument(
        "--missed",
        choices=("skip", "once", "all"),
        default="once",
        help="moments that passed while nothing ran: left out, one run for all, or each (default once)",
    )
    add.add_argument(
        "--missed-max",
        metavar="N",
        type=int,
        default=100,
        help="at most the latest so many of them (default 100)",
    )
    add.add_argument(
        "--overlap",
        choices=("skip", "queue", "cancel", "allow"),
        default="skip",
        help="while the run before goes on (default skip)",
    )
    add.add_argument(
        "--jitter", metavar="S", type=float, default=0.0, help="begin up to so many seconds later, by chance"
    )
    schedule.add_parser("list", help="by name")
    for action, words in (
        ("show", "when, what, and its coming moments"),
        ("pause", "take up none of its moments"),
        ("resume", "go on with its next moment"),
        ("remove", "forget it"),
        ("run", "once more, now"),
        ("runs", "what became of its moments"),
    ):
        one = schedule.add_parser(action, help=words)
        one.add_argument("name", metavar="NAME")
        if action == "runs":
            one.add_argument("--limit", metavar="N", type=int, default=20)
    preview = schedule.add_parser("preview", help="when a timing would fire")
    _timing(preview)
    preview.add_argument("--count", metavar="N", type=int, default=5)


def _hooks(commands: Group) -> None:
    hook = _group(commands, "hook", "addresses at which others deliver, signed")
    add = hook.add_parser("add", help="POST /hooks/NAME starts a task or chain:NAME")
    add.add_argument("name", metavar="NAME")
    add.add_argument("target", metavar="TARGET", help="such as log.message.write, or chain:NAME")
    add.add_argument("words", metavar="KEY:VALUE", nargs="*", help="such as message:'{{ body.event }}'")
    add.add_argument(
        "--scheme",
        choices=("any", "standard", "github", "stripe", "slack"),
        default="any",
        help="how senders sign (default: any of these)",
    )
    add.add_argument(
        "--secret",
        metavar="REF",
        default="",
        help="a reference, env://NAME or keyring://NAME; without it a secret is made",
    )
    add.add_argument(
        "--window", metavar="S", type=float, default=300.0, help="how old a delivery may be (default 300)"
    )
    hook.add_parser("list", help="by name")
    for action, words in (
        ("show", "what it starts, and its latest delivery"),
        ("pause", "take no deliveries"),
        ("resume", "take them again"),
        ("remove", "close the address"),
        ("deliveries", "what came"),
    ):
        one = hook.add_parser(action, help=words)
        one.add_argument("name", metavar="NAME")
        if action == "deliveries":
            one.add_argument("--limit", metavar="N", type=int, default=20)


def _timing(parser: argparse.ArgumentParser) -> None:
    timing = parser.add_mutually_exclusive_group(required=True)
    timing.add_argument("--cron", metavar="EXPR", default="", help="such as '0 9 * * MON-FRI'")
    timing.add_argument(
        "--every", metavar="S", type=float, default=0.0, help="seconds from one run to the next"
    )
    parser.add_argument(
        "--zone",
        metavar="Z",
        default="",
        help="of the cron expression, such as Europe/Berlin (default: this machine's)",
    )


def _chains(commands: Group) -> None:
    chain = _group(commands, "chain", "which task follows which")
    for action, words in (
        ("apply", "keep a chain, written as YAML or JSON"),
        ("check", "what is wrong with it"),
    ):
        chain.add_parser(action, help=words).add_argument("file", metavar="FILE", help="- is standard input")
    chain.add_parser("list", help="all of them, and how their last runs went")
    show = chain.add_parser("show", help="as it was written")
    show.add_argument("name", metavar="NAME")
    show.add_argument("--version", metavar="N", type=int, default=0, help="the newest if absent")
    run = chain.add_parser("run", help="run one with key:value as its input")
    run.add_argument("name", metavar="NAME")
    run.add_argument("words", metavar="KEY:VALUE", nargs="*", help="such as url:https://example.org")
    run.add_argument("--input", metavar="JSON", help="the whole input")
    run.add_argument("--wait", action="store_true", help="wait for its end and print how it went")
    run.add_argument("--dry-run", action="store_true", help="decide everything, call nothing")
    run.add_argument(
        "--pin",
        metavar="NODE=JSON",
        action="append",
        default=[],
        help="give a node its result; may be repeated",
    )
    run.add_argument("--version", metavar="N", type=int, default=0, help="the newest if absent")
    runs = chain.add_parser("runs", help="newest first")
    runs.add_argument("name", metavar="NAME")
    runs.add_argument("--limit", metavar="N", type=int, default=50)
    run_show = chain.add_parser("run-show", help="what became of each node, and why")
    run_show.add_argument("id", metavar="ID")
    run_show.add_argument("--node", metavar="NODE", default="", help="what went into this node and came out")
    run_show.add_argument("--edge", metavar="N", type=int, help="why this edge (from 0) led on or not")
    chain.add_parser("run-cancel", help="end it and its sub-chains").add_argument("id", metavar="ID")
    replay = chain.add_parser("replay", help="do a run anew from one of its nodes")
    replay.add_argument("id", metavar="ID")
    replay.add_argument("--from", dest="node", metavar="NODE", required=True)
    replay.add_argument("--wait", action="store_true", help="wait for its end and print how it went")
    rename = chain.add_parser("rename", help="give it another name; what starts it follows")
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("to", metavar="TO", help="letters, digits, . _ and -")
    chain.add_parser("delete", help="take it away; its runs are kept").add_argument("name", metavar="NAME")


def _mcp(commands: Group) -> None:
    mcp = commands.add_parser("mcp", help="tools for other programs (MCP), over standard input and output")
    mcp.add_argument(
        "--http", action="store_true", help="over HTTP: say where, and serve if no workbench runs"
    )
    mcp.add_argument(
        "--client",
        metavar="NAME",
        dest="as_client",
        default="",
        help="as the program that `legion connect` connected, with its key instead of the owner's",
    )
    actions = mcp.branch("action", is_required=False)
    tools = actions.add_parser("tools", help="all of them, and what a client may do with them")
    tools.add_argument("--client", metavar="NAME", default="owner", help="whose token (default owner)")
    calls = actions.add_parser("calls", help="what was called, newest first")
    calls.add_argument("--limit", metavar="N", type=int, default=50)
    for action, words in (
        ("allow", "let a client call tools that do more than read"),
        ("forbid", "hide tools from a client"),
    ):
        one = actions.add_parser(action, help=words)
        one.add_argument("tools", metavar="TOOL", nargs="+", help="a name, or a pattern with *")
        one.add_argument("--client", metavar="NAME", default="owner", help="whose token; * is every client")
    reset = actions.add_parser("reset", help="back to what only reads")
    reset.add_argument("--client", metavar="NAME", default="owner")
    actions.add_parser("grants", help="what was allowed and forbidden")
    actions.add_parser(
        "approvals", help="calls that wait for a yes in the window, and what they would change"
    )
    chat = actions.add_parser("chat", help="the tools a chat may use")
    chat.add_argument("id", metavar="ID", help="of the chat")
    for option, words in (("--on", "let it use this source, such as server:notes"), ("--off", "no longer")):
        chat.add_argument(option, metavar="SOURCE", action="append", default=[], help=words)
    yes = actions.add_parser("yes", help="tools that chats may call unasked")
    yes.add_argument("--forget", metavar="TOOL", action="append", default=[], help="ask for it again")
    server = actions.add_parser("server", help="other people's servers, whose tools you can use")
    verbs = server.branch("verb")
    add = verbs.add_parser("add", help="register one: --url URL, or -- PROGRAM WORD …")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--url", metavar="URL", default="")
    add.add_argument("--header", metavar="NAME=VALUE", action="append", default=[])
    add.add_argument(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a value may be keyring://… or env://…",
    )
    add.add_argument("--cwd", metavar="DIR", default="")
    add.add_argument("--timeout", metavar="S", type=float, default=120.0, help="of one call (default 120)")
    add.add_argument("words", metavar="PROGRAM", nargs="*", help="the program and its words, after --")
    verbs.add_parser("list", help="all of them, and how they are")
    for verb, words in (
        ("show", "its tools as they are known"),
        ("look", "start it and read its tools"),
        ("on", "let it be used"),
        ("off", "do not use it"),
        ("login", "sign in at one that wants it, in your browser"),
        ("logout", "sign out, and have its tokens ended"),
        ("remove", "forget it"),
    ):
        verbs.add_parser(verb, help=words).add_argument("name", metavar="NAME")
    approve = verbs.add_parser("approve", help="trust it as `look` showed it")
    approve.add_argument("name", metavar="NAME")
    approve.add_argument("fingerprint", metavar="FINGERPRINT", help="as `look` showed it")


def _models(commands: Group) -> None:
    model = _group(commands, "model", "model files on this computer")
    listed = model.add_parser("list", help="all of them, and whether they fit")
    listed.add_argument("--context", metavar="TOKENS", type=int, help="reckon the fit for this many tokens")
    pull = model.add_parser("pull", help="download one")
    pull.add_argument("name", metavar="NAME-OR-URL")
    pull.add_argument(
        "--private", action="store_true", help="the URL may lead into this computer or your own network"
    )
    model.add_parser("import", help="take in a GGUF file").add_argument("path", metavar="PATH")
    model.add_parser("remove", help="delete its file").add_argument("name", metavar="NAME")
    fit = model.add_parser("fit", help="whether it fits, with the arithmetic")
    fit.add_argument("name", metavar="NAME")
    fit.add_argument("--context", metavar="TOKENS", type=int, default=4096)


def _providers(commands: Group) -> None:
    provider = _group(commands, "provider", "instances that answer")
    provider.add_parser("list", help="all of them, and how they are")
    add = provider.add_parser(
        "add", help="add one after a test; the key is asked for, or read from standard input"
    )
    add.add_argument("name", metavar="NAME")
    add.add_argument("--kind", required=True, choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
    add.add_argument("--base-url", metavar="URL", default="")
    add.add_argument("--api-key", metavar="REF", default="", help="a reference: env://NAME or keyring://NAME")
    add.add_argument("--key-stdin", action="store_true", help="read the key itself from standard input")
    add.add_argument("--tier", choices=_TIERS, metavar="T", default="")
    add.add_argument("--model", metavar="ID", action="append", default=[], help="may be repeated")
    add.add_argument("--no-test", action="store_true", help="save it even if it does not answer")
    for action, words in (
        ("remove", "forget it and its key"),
        ("test", "is it there, is the key right"),
        ("trip", "send nothing there until it is reset"),
        ("drain", "let what runs there finish, and send nothing new until it is reset"),
        ("reset", "close its circuit, end a trip and a drain, and forget answers that were no good"),
    ):
        provider.add_parser(action, help=words).add_argument("name", metavar="NAME")
    provider.add_parser("discover", help="model servers running on this computer; none is added")
    verbs = provider.add_parser("model", help="what its models can").branch("verb")
    verbs.add_parser("list", help="all of them, and what each can").add_argument("name", metavar="NAME")
    said = verbs.add_parser("set", help="say what one can, where its server does not")
    tried = verbs.add_parser("try", help="ask one itself, in up to six small requests")
    for one in (said, verbs.add_parser("reset", help="forget what was said of one"), tried):
        one.add_argument("name", metavar="NAME")
        one.add_argument("model", metavar="MODEL")
    for option in ("tools", "images", "documents", "thinking", "structured-output", "completions", "fim"):
        said.add_argument(f"--{option}", choices=("yes", "no"), metavar="yes|no")
    said.add_argument(
        "--context", metavar="TOKENS", type=int, help="how many it holds; 0: as its server tells"
    )
    said.add_argument(
        "--continuation",
        choices=("native", "prefill", "instruct", "none"),
        metavar="HOW",
        help="how a broken answer goes on: native, prefill, instruct or none",
    )
    tried.add_argument("--save", action="store_true", help="keep what it showed")
    route = _group(commands, "route", "where requests go")
    explain = route.add_parser("explain", help="where this would go, and why not elsewhere")
    explain.add_argument("text")
    explain.add_argument("--requires", metavar="LIST", default="", help="such as tools,vision")
    explain.add_argument("--private", action="store_true", help="as if it were marked private")
    explain.add_argument("--embed", action="store_true", help="for a vector, not for an answer")
    explain.add_argument("--tier-max", choices=_TIERS, metavar="T", help="no further than this tier")
    explain.add_argument(
        "--context",
        metavar="TOKENS",
        type=int,
        default=0,
        help="with a conversation of this length before it",
    )
    _pins(explain)
    ledger = _group(commands, "ledger", "what was asked of whom, and what it cost")
    summary = ledger.add_parser("summary", help="added up")
    summary.add_argument(
        "--by",
        choices=("tier", "model", "day", "instance", "client", "conversation", "outcome"),
        default="tier",
        help="tier (default), model, day, instance, client, conversation or outcome",
        metavar="KEY",
    )
    summary.add_argument(
        "--since", metavar="DAY", default="", help="from this day of UTC on, such as 2026-03-14"
    )
    listed = ledger.add_parser(
        "list", help="each attempt: where it went, what it took, what it cost, how it ended"
    )
    listed.add_argument("--request", metavar="ID", default="", help="only those of this request")
    listed.add_argument("--conversation", metavar="ID", default="", help="only those of this conversation")
    listed.add_argument("--limit", metavar="N", type=int, default=20, help="at most so many (20)")
    ledger.add_parser("budget", help="every limit on money, with what is spent and held")


def _configuration(commands: Group) -> None:
    config = _group(commands, "config", "the configuration")
    config.add_parser("get", help="one setting").add_argument("key", metavar="KEY")
    change = config.add_parser("set", help="change a setting")
    change.add_argument("key", metavar="KEY")
    change.add_argument("value", metavar="VALUE")
    config.add_parser("check", help="everything wrong with the file")
    config.add_parser("path", help="where the file is")
    secret = _group(commands, "secret", "keys and passwords")
    secret.add_parser("set", help="keep one; its value comes from standard input").add_argument(
        "name", metavar="NAME"
    )
    secret.add_parser("list", help="names only")
    secret.add_parser("remove", help="forget one").add_argument("name", metavar="NAME")


def _rights(commands: Group) -> None:
    token = _group(commands, "token", "the owner's token, and those of clients")
    token.add_parser("show", help="print the owner's")
    tokens = token.add_parser("list", help="those of clients; never their secrets")
    tokens.add_argument("--all", action="store_true", help="also those that ended")
    create = token.add_parser("create", help="make one for a client; its secret is printed this once")
    create.add_argument("name", metavar="NAME")
    create.add_argument(
        "--scope",
        metavar="SCOPE",
        action="append",
        default=[],
        help="what it may do at most: GLOB:ACTION, such as tasks/http/*:run, or chat, mcp, connected-app, read, tasks; may be repeated",
    )
    create.add_argument("--client", metavar="WORDS", default="", help="whom it is for")
    create.add_argument("--expires", metavar="SPAN", default="", help="such as 90d or 12h (default: never)")
    token.add_parser("revoke", help="end one, at once").add_argument("name", metavar="NAME")
    rbac = _group(commands, "rbac", "who may do what")
    check = rbac.add_parser("check", help="may SUBJECT do ACTION at PATH, and which rule says so")
    check.add_argument("subject", metavar="SUBJECT", help="owner, or the name of a token")
    check.add_argument("path", metavar="PATH", help="such as tasks/http/request/get")
    check.add_argument("verb", metavar="ACTION", help="such as run")
    policy = rbac.add_parser("policy", help="the policy in force")
    policies = policy.branch("policy_action")
    policies.add_parser("show", help="print it")
    apply = policies.add_parser("apply", help="put one in force, whole or not at all")
    apply.add_argument("file", metavar="FILE", help="TOML; - is standard input")
    apply.add_argument("--dry-run", action="store_true", help="only say what would change")
    policies.add_parser("remove", help="have none")
    audit = _group(commands, "audit", "what was decided and done")
    verify = audit.add_parser("verify", help="is the log whole, and if not, which entry is the first bad one")
    verify.add_argument(
        "--file", metavar="FILE", default="", help="check a file that was exported or moved out"
    )
    listed = audit.add_parser("list", help="newest first")
    listed.add_argument("--limit", metavar="N", type=int, default=50)
    listed.add_argument("--kind", metavar="WORD", default="", help="such as token, or access.denied")
    listed.add_argument("--who", metavar="SUBJECT", default="", help="only what this one did")
    listed.add_argument("--outcome", metavar="WORD", default="", help="such as denied")
    export = audit.add_parser("export", help="all of it as lines of JSON")
    export.add_argument("--out", metavar="FILE", default="", help="to a file")
    export.add_argument("--after", metavar="N", type=int, default=0, help="only entries behind this one")


def _connections(commands: Group) -> None:
    connect = _group(commands, "connect", "let other programs on this computer use this workbench")
    connect.add_parser("list", help="which programs, and whether they are connected")
    for action, words in (
        ("preview", "what would be written into its files"),
        ("apply", "write it, and keep a copy of what was there"),
    ):
        one = connect.add_parser(action, help=words)
        one.add_argument("client", metavar="CLIENT", help="such as cursor, vscode, zed or claude-code")
        one.add_argument(
            "--models",
            action=argparse.BooleanOptionalAction,
            help="also as a model endpoint (default: where this changes nothing else)",
        )
        one.add_argument("--http", action="store_true", help="by address instead of by command")
    for action, words in (
        ("undo", "take out what was written, and revoke its key"),
        ("key", "print its key, for its own settings"),
    ):
        one = connect.add_parser(action, help=words)
        one.add_argument("client", metavar="CLIENT")
        if action == "key":  # programs that run this command may not know LEGION_HOME
            one.add_argument("--home", metavar="DIR", default="", help="of this data directory")


def _network(commands: Group) -> None:
    network = _group(commands, "network", "which hosts were contacted, and which may be")
    listed = network.add_parser("list", help="every host: what for, by which part, how often, bytes each way")
    listed.add_argument("--blocked", action="store_true", help="only those that are blocked")
    network.add_parser("offline", help="contact only this computer, from now on and after a restart")
    network.add_parser("online", help="contact others again")
    for action, words in (("block", "never contact a host"), ("allow", "let a host through again")):
        one = network.add_parser(action, help=words)
        one.add_argument(
            "host", metavar="HOST", help="a name, an address, or '*.example.com' for every name below"
        )
    network.add_parser("forget", help="empty the record of hosts contacted")


def _conversations(commands: Group) -> None:
    conversation = _group(commands, "conversation", "chats kept here")
    listed = conversation.add_parser("list", help="pinned first, then the latest")
    listed.add_argument("--limit", metavar="N", type=int, default=50)
    conversation.add_parser("show", help="its messages").add_argument("id", metavar="ID")
    search = conversation.add_parser("search", help="those that hold these words")
    search.add_argument("text")
    search.add_argument("--limit", metavar="N", type=int, default=50)
    export = conversation.add_parser("export", help="as a document")
    export.add_argument("id", metavar="ID")
    export.add_argument("--format", choices=("md", "json", "html"), default="md")
    taken = conversation.add_parser(
        "import", help="an export of ChatGPT or Claude (also its zip), JSON lines, or a JSON export"
    )
    taken.add_argument("file", metavar="FILE")
    private = conversation.add_parser("private", help="keep it on this computer, whatever is pinned")
    private.add_argument("id", metavar="ID")
    private.add_argument("state", choices=("on", "off"), nargs="?", default="on")
    conversation.add_parser("delete", help="move it to the trash").add_argument("id", metavar="ID")
    conversation.add_parser("restore", help="take it out of the trash").add_argument("id", metavar="ID")
    conversation.add_parser("log", help="everything that happened to it").add_argument("id", metavar="ID")
    undo = conversation.add_parser(
        "undo", help="take back its last change: a title, a pin, the trash, a branch"
    )
    undo.add_argument("id", metavar="ID")
    verify = conversation.add_parser("verify", help="whether what is stored is what was written")
    verify.add_argument("id", metavar="ID", nargs="?", default="", help="one of them; else all")


def _curate(commands: Group) -> None:
    curate = commands.add_parser(
        "curate",
        help="what curation would do to a transcript, turn by turn",
        description="Reads OpenAI or Anthropic messages, Claude Code sessions and Codex rollouts, one JSON value a line.",
    )
    curate.add_argument("file", metavar="FILE.jsonl")
    curate.add_argument(
        "--context", metavar="TOKENS", type=int, help="the window of the model it is meant for"
    )
    curate.add_argument(
        "--out", metavar="FILE", help="a line for each request: what would be sent, and the edits"
    )
    curate.add_argument("--archive", metavar="FILE", help="what left the view, by the keys that recall it")


def _selftest(commands: Group) -> None:
    selftest = commands.add_parser(
        "selftest",
        help="try known attacks on a workbench of its own",
        description="Opens a workbench in a directory of its own, tries what broke into others, and says how each was refused.",
    )
    selftest.add_argument(
        "--attacks", action="store_true", help="the public attacks, numbered as in docs/security.md"
    )


def _completion(commands: Group) -> None:
    completion = commands.add_parser(
        "completion", help="a script that completes these commands in your shell"
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))


PARTS: dict[str, Callable[[Group], None]] = {
    name: part
    for names, part in (
        ("desktop start stop status doctor", _node),
        ("chat", _chat),
        ("task extension worker", _tasks),
        ("chain", _chains),
        ("schedule", _schedules),
        ("hook", _hooks),
        ("model", _models),
        ("provider route ledger", _providers),
        ("config secret", _configuration),
        ("token rbac audit", _rights),
        ("connect", _connections),
        ("network", _network),
        ("conversation", _conversations),
        ("mcp", _mcp),
        ("curate", _curate),
        ("selftest", _selftest),
        ("completion", _completion),
    )
    for name in names.split()
}
"""What builds each command, in the order in which `--help` lists them."""
