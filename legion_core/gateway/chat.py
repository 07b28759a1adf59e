"""Chats that are kept here: a question is taken on, its answer is written by a task of ours and survives its asker."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from legion_core.gateway.conversation_types import (
    ChatMessage,
    ContextShares,
    Conversation,
    ConversationChanged,
    ConversationView,
    Imported,
    ImportProgress,
    LogEntry,
    Turn,
    Verified,
)
from legion_core.gateway.conversations import Conversations, TakenIn
from legion_core.gateway.pipeline import Pipeline
from legion_core.gateway.reading import Given
from legion_core.gateway.resuming import Resuming
from legion_core.gateway.spoken import Spoken
from legion_core.gateway.turns import AnswerWriter
from legion_core.gateway.types import (
    DocumentBlock,
    ImageBlock,
    Message,
    Pins,
    Request,
    TextBlock,
    ToolDefinition,
)
from legion_core.kernel.errors import Conflict, InvalidInput, LegionError
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import LOCAL_OWNER, Principal
from legion_core.kernel.supervise import Supervisor

if TYPE_CHECKING:
    from legion_core.gateway.export import Format
    from legion_core.gateway.import_types import Notes

PICTURES_MAX = 8  # of one message of a chat that is kept here
BATCH_CHARS = 2_000_000  # of an import, in one transaction
CHANGES_TOLD = 200  # whoever shows the list reads it again after the first
WithTools = Callable[[Request, Principal, ChatMessage, Given | None], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class ChatDefaults:
    """What holds for a question that says nothing of its own; read at each question."""

    pins: Pins
    system: tuple[str, ...] = ()


def no_defaults() -> ChatDefaults:
    """The router chooses freely and nothing is said beforehand."""
    return ChatDefaults(pins=Pins())


class Chat:
    """Send, edit, regenerate, stop; one answer at a time for each conversation."""

    def __init__(
        self,
        pipeline: Pipeline,
        conversations: Conversations,
        spoken: Spoken,
        bus: EventBus,
        ids: Ids,
        supervisor: Supervisor,
        defaults: Callable[[], ChatDefaults],
    ) -> None:
        self._pipeline = pipeline
        self._conversations = conversations
        self._spoken = spoken
        self._bus = bus
        self._ids = ids
        self._supervisor = supervisor
        self.defaults = defaults
        self.resuming = Resuming(self, conversations, spoken, ids)
        self.with_tools: WithTools | None = None
        """Writes the answer of a chat that has tools switched on, over as many rounds as it takes; False: it has none.

        It is given the open answer and what was told of it, or the results that a killed process left open.
        """
        self.tools_of: Callable[[str], Awaitable[Sequence[ToolDefinition]]] | None = None
        """The tools that are switched on in a chat, for who wants to know what they weigh."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._taken_on = set[str]()  # whose answer is about to begin

    def begin(self) -> None:
        """Bring what an earlier version wrote into the present form, beside everything else."""
        self._supervisor.spawn("store older messages anew", self._conversations.store_older_anew())

    @property
    def running(self) -> frozenset[str]:
        """The conversations whose answer is being written now."""
        return frozenset((*self._running, *self._taken_on))

    @contextmanager
    def taking_on(self, conversation_id: str) -> Generator[None]:
        """Nobody else begins an answer in this conversation meanwhile; Conflict where somebody does, or one is written."""
        if conversation_id in self._running or conversation_id in self._taken_on:
            raise Conflict("This chat is still answering.", hint="Stop it first, or wait for its end.")
        self._taken_on.add(conversation_id)
        try:
            yield
        finally:
            self._taken_on.discard(conversation_id)

    async def send(
        self,
        conversation_id: str | None,
        text: str,
        *,
        parent_id: str | None = None,
        pins: Pins | None = None,
        images: tuple[ImageBlock | DocumentBlock, ...] = (),
        who: Principal = LOCAL_OWNER,
    ) -> Turn:
        """Ask below `parent_id`, or at the end of the conversation, or in a new one; `images` are shown with the words."""
        question = _question(text, images)
        if conversation_id is None:
            conversation_id = (await self._conversations.create()).id
        elif parent_id is None:
            parent_id = await self._conversations.head(conversation_id)
        return await self._take_on(conversation_id, (question,), parent_id, pins, who)

    async def edit(
        self, message_id: str, text: str, *, pins: Pins | None = None, who: Principal = LOCAL_OWNER
    ) -> Turn:
        """Ask again in other words and with the same pictures and documents, beside the first question: both branches stay."""
        before = await self._conversations.message(message_id)
        if before.role != "user":
            raise InvalidInput("Only your own message can be edited.", hint="Regenerate the answer instead.")
        shown: tuple[ImageBlock | DocumentBlock, ...] = ()
        if before.pictures or before.documents:
            shown = await self._conversations.shown(before.id)
        question = _question(text, shown)
        return await self._take_on(before.conversation_id, (question,), before.parent_id, pins, who)

    async def regenerate(
        self, message_id: str, *, pins: Pins | None = None, who: Principal = LOCAL_OWNER
    ) -> Turn:
        """Answer the same question again, beside the first answer: both stay."""
        before = await self._conversations.message(message_id)
        parent_id = before.parent_id if before.role == "assistant" else before.id
        return await self._take_on(before.conversation_id, (), parent_id, pins, who)

    async def stop(self, conversation_id: str) -> bool:
        """End the running answer and keep what there is; False if none was running. Returns once it is stored."""
        task = self._running.get(conversation_id)
        if task is None:
            return False
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return True

    async def choose(self, message_id: str) -> ConversationView:
        """Show the branch through this message."""
        conversation_id = await self._conversations.choose(message_id)
        self._tell_changed(conversation_id)
        return await self.open(conversation_id)

    async def create(self, title: str = "") -> Conversation:
        """A new, empty conversation."""
        made = await self._conversations.create(title)
        self._tell_changed(made.id)
        return made

    async def open(self, conversation_id: str) -> ConversationView:
        """The conversation's active branch."""
        return await self._conversations.open(conversation_id)

    async def list(
        self, query: str = "", *, limit: int = 200, offset: int = 0, trashed: bool = False
    ) -> tuple[Conversation, ...]:
        """The conversations, or those that hold the words of `query`."""
        return await self._conversations.list(query, limit=limit, offset=offset, trashed=trashed)

    async def rename(self, conversation_id: str, title: str) -> None:
        """Give it a title of one's own."""
        if not title.strip():
            raise InvalidInput("A title cannot be empty.", hint="Type at least one word.")
        await self._conversations.set_title(conversation_id, title)
        self._tell_changed(conversation_id)

    async def pin(self, conversation_id: str, is_pinned: bool) -> None:
        """Keep it at the top, or no longer."""
        await self._conversations.set_pinned(conversation_id, is_pinned)
        self._tell_changed(conversation_id)

    async def trash(self, conversation_id: str) -> None:
        """Move it to the trash; a running answer is stopped first."""
        await self.stop(conversation_id)
        await self._conversations.set_trashed(conversation_id, True)
        self._tell_changed(conversation_id, is_gone=True)

    async def restore(self, conversation_id: str) -> None:
        """Take it back out of the trash."""
        await self._conversations.set_trashed(conversation_id, False)
        self._tell_changed(conversation_id)

    async def save_draft(self, conversation_id: str, text: str) -> None:
        """Remember what is typed and not sent."""
        await self._conversations.set_draft(conversation_id, text)

    async def log(self, conversation_id: str) -> tuple[LogEntry, ...]:
        """Everything that happened to it, in order."""
        return await self._conversations.log(conversation_id)

    async def undo(self, conversation_id: str) -> LogEntry:
        """Take back the last change that can be: a title, a pin, the trash, another branch; says which it was."""
        entry = await self._conversations.undo(conversation_id)
        self._tell_changed(conversation_id)
        return entry

    async def verify(self, conversation_id: str | None = None) -> Verified:
        """Whether what is stored of one conversation, or of all, is what was written."""
        return await self._conversations.verify(conversation_id)

    async def shares(self, conversation_id: str) -> ContextShares:
        """What the next request of this chat is made of, before curation; by length."""
        from legion_core.gateway.context_shares import shares_of

        head = await self._conversations.head(conversation_id)
        messages = await self._conversations.history(conversation_id, head)
        rules = (*self.defaults().system, *await self._conversations.system(conversation_id, head))
        tools = await self.tools_of(conversation_id) if self.tools_of is not None else ()
        return shares_of(conversation_id, rules, tools, messages)

    async def pictures(self, message_id: str) -> tuple[ImageBlock, ...]:
        """The pictures shown with a message."""
        return await self._conversations.pictures(message_id)

    async def export(self, conversation_id: str, form: "Format") -> str:
        """As a document: `md` and `html` the active branch, `json` all of it, which can be imported again."""
        from legion_core.gateway.export import as_html, as_json, as_markdown

        if form == "json":
            told = await self._conversations.document(conversation_id)
            return await asyncio.to_thread(as_json, told)
        view = await self.open(conversation_id)
        blocks = dict(await self._conversations.shown_blocks(conversation_id))
        return await asyncio.to_thread(as_markdown if form == "md" else as_html, view, blocks)

    async def import_chats(self, data: bytes, name: str = "the file") -> "Imported":
        """Take in an export of ChatGPT or Claude, JSON lines, or a document of ours; all that can be read of it."""
        from legion_core.gateway.import_chats import read_chats
        from legion_core.gateway.import_types import Notes

        notes = Notes()
        chats = await asyncio.to_thread(read_chats, data, name, notes)
        return self._told(await self._conversations.take_in(chats), notes)

    async def import_file(
        self, path: Path, on_progress: Callable[[ImportProgress], None] = lambda progress: None
    ) -> "Imported":
        """Take in a file or zip of any size, a few conversations in a transaction.

        Cancelling keeps what came so far; once more goes on where it was. `on_progress` is called on the loop's thread.
        """
        from legion_core.gateway.import_chats import open_chats
        from legion_core.gateway.import_types import ImportedChat, Notes

        notes, whole, read = Notes(), TakenIn(), 0

        def count(more: int) -> None:
            nonlocal read
            read += more

        def next_batch() -> list[ImportedChat]:
            batch, weight = list[ImportedChat](), 0
            for chat in chats:
                batch.append(chat)
                weight += sum(1_000 + len(node.message.text) for node in chat.nodes)
                if weight > BATCH_CHARS:
                    break
            return batch

        total = (await asyncio.to_thread(path.stat)).st_size if await asyncio.to_thread(path.is_file) else 0
        chats = open_chats(path, notes, count)
        while batch := await asyncio.to_thread(next_batch):
            taken = await self._conversations.take_in(batch)
            whole.made += taken.made
            whole.grown += taken.grown
            whole.known += taken.known
            done = len(whole.made) + len(whole.grown) + whole.known
            on_progress(ImportProgress(read_bytes=min(read, total), total_bytes=total, conversations=done))
        return self._told(whole, notes)

    async def finished(self, turn: Turn) -> ChatMessage:
        """Wait for the answer's end and give it in its final form; raises nothing for an answer that failed."""
        task = self._running.get(turn.conversation_id)
        if task is not None:
            await asyncio.gather(asyncio.shield(task), return_exceptions=True)
        answer = await self._conversations.message(turn.answer_id)
        return await self._conversations.last_of(answer) if answer.calls else answer

    async def _take_on(
        self,
        conversation_id: str,
        messages: tuple[Message, ...],
        parent_id: str | None,
        pins: Pins | None,
        who: Principal,
    ) -> Turn:
        with self.taking_on(conversation_id):
            defaults = self.defaults()
            request = Request(
                id=self._ids.new("req"),
                messages=messages,
                system=(*defaults.system, *await self._conversations.system(conversation_id, parent_id)),
                pins=pins or defaults.pins,
                client=who.name,
            )
            question, answer = await self._conversations.ask(
                conversation_id, messages, parent_id=parent_id, request_id=request.id
            )
            if question is None:
                assert answer.parent_id is not None
                question = await self._conversations.message(answer.parent_id)
            self.carry_on(answer, self.write(request, who, answer))
        return Turn(conversation_id=conversation_id, question=question, answer_id=answer.id)

    def carry_on(self, answer: ChatMessage, writing: Coroutine[None, None, None]) -> None:
        """Have an answer written by a task of ours; there is none yet that writes in its conversation."""
        task = self._supervisor.spawn(f"answer {answer.id}", writing)
        self._running[answer.conversation_id] = task
        task.add_done_callback(lambda _: self._running.pop(answer.conversation_id, None))

    async def write(
        self, request: Request, who: Principal, answer: ChatMessage, given: Given | None = None
    ) -> None:
        """Write an open answer to its end, behind `given`. Raises nothing: the answer holds the sentence."""
        try:
            if self.with_tools is not None and await self.with_tools(request, who, answer, given):
                return
            async with aclosing(self._pipeline.handle(request, who, answer, given=given)) as events:
                async for _ in events:
                    pass
        except LegionError as error:
            left = await self._conversations.message(answer.id)
            if left.status == "streaming":  # it failed before the pipeline had it
                writer = AnswerWriter(self._conversations, self._spoken, self._bus, answer, given)
                await writer.abandon("failed", error, ())

    def _told(self, taken: TakenIn, notes: "Notes") -> Imported:
        for conversation_id in (*taken.made, *taken.grown)[:CHANGES_TOLD]:
            self._tell_changed(conversation_id)
        return Imported(
            conversations=tuple(taken.made),
            grown=tuple(taken.grown),
            known=taken.known,
            notes=notes.sentences(),
        )

    def _tell_changed(self, conversation_id: str, *, is_gone: bool = False) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            ConversationChanged(
                at_utc=at_utc, at_mono_s=at_mono_s, conversation_id=conversation_id, is_gone=is_gone
            )
        )


def _question(text: str, shown: tuple[ImageBlock | DocumentBlock, ...] = ()) -> Message:
    if not text.strip() and not shown:
        raise InvalidInput("The message is empty.", hint="Type something first.")
    if sum(isinstance(block, ImageBlock) for block in shown) > PICTURES_MAX:
        raise InvalidInput(
            f"A message shows {PICTURES_MAX} pictures at most.", hint="Send the rest in another."
        )
    words = (TextBlock(text=text),) if text.strip() else ()
    return Message(role="user", content=(*words, *shown))
