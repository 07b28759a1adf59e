"""An engine in memory with the facade's own words, for view-models and views: no disk, no model, no network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from legion_core.api.downloads import PrivateAddress
from legion_core.api.llm import BudgetRow
from legion_core.api.models import EngineRow
from legion_core.api.routes import AttemptBegan, Figures, Ladder, Measured, Place, Rung
from legion_core.api.types import (
    AnswerEnded,
    AnswerGrew,
    AnswerStarted,
    Attempt,
    ChatMessage,
    Conversation,
    ConversationChanged,
    ConversationView,
    CurationEdit,
    CurationMeter,
    DocumentBlock,
    EventBus,
    Finding,
    Lane,
    LeftOut,
    ModelChanged,
    ModelFacts,
    ModelFit,
    ModelOffer,
    ModelRow,
    ModelTrial,
    ProviderChanged,
    ProviderRow,
    PullProgressed,
    RouteDecision,
    SeenPart,
    SettingChanged,
    SettingRow,
    Status,
    SummaryRow,
    TestResult,
    Tier,
    Turn,
    Usage,
)
from legion_core.gateway.conversation_types import ContextShares, Imported, ImportProgress
from legion_core.kernel.errors import BadCredentials, Denied, InvalidInput, NotFound
from legion_core.kernel.supervise import Supervisor
from tests.gui.fake_access import ClientTokens, FakeRbac
from tests.gui.fake_activity import FakeActivity, FakeTasks
from tests.gui.fake_chains import FakeChains
from tests.gui.fake_connect import FakeConnect, FakeMcp, FakeNetwork
from tests.gui.fake_schedules import FakeExtensions, FakeSchedules

NOW = datetime(2026, 6, 17, 14, 6, tzinfo=UTC)
GB = 10**9


class FakeClock:
    """Stands still until moved."""

    def __init__(self) -> None:
        self.mono = 100.0
        self.now = NOW

    def monotonic_s(self) -> float:
        return self.mono

    def utc_now(self) -> datetime:
        return self.now

    def unix_s(self) -> float:
        return self.now.timestamp()


class FakeChat:
    def __init__(self, bus: EventBus, clock: FakeClock) -> None:
        self.bus, self.clock = bus, clock
        self.conversations: dict[str, Conversation] = {}
        self.messages: dict[str, list[ChatMessage]] = {}
        self.trash_ids: set[str] = set()
        self.images: dict[str, tuple[Any, ...]] = {}
        self.system_tokens = self.history_tokens = 0
        self.import_steps = [ImportProgress(read_bytes=500, total_bytes=1_000, conversations=3)]
        self.calls: list[tuple[Any, ...]] = []
        self.refuse_send: Exception | None = None
        self.count = 0

    def _id(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count:04d}"

    def _stamp(self) -> dict[str, Any]:
        at_utc, at_mono_s = self.bus.stamp()
        return {"at_utc": at_utc, "at_mono_s": at_mono_s}

    def add(
        self, title: str, *texts: str, pinned: bool = False, age: timedelta = timedelta(), tier: str = "local"
    ) -> str:
        """A finished chat of questions and answers in turn."""
        cid = self._id("cnv")
        moment = self.clock.now - age
        messages: list[ChatMessage] = []
        for at, text in enumerate(texts):
            is_answer = bool(at % 2)
            messages.append(
                ChatMessage(
                    id=self._id("msg"),
                    conversation_id=cid,
                    parent_id=messages[-1].id if messages else None,
                    role="assistant" if is_answer else "user",
                    text=text,
                    created_at=moment,
                    **(self.answered(tier) if is_answer else {}),
                )
            )
        self.messages[cid] = messages
        self.conversations[cid] = Conversation(
            id=cid,
            title=title,
            snippet=texts[-1] if texts else "",
            updated_at=moment,
            created_at=moment,
            message_count=len(texts),
            tier=tier,
            is_pinned=pinned,
        )
        return cid

    def answered(self, tier: str = "local") -> dict[str, Any]:
        usage = Usage(input_tokens=42, output_tokens=20)
        attempt = Attempt(
            number=1,
            tier=tier,
            instance="built-in",
            model="smollm2-135m",
            outcome="succeeded",
            usage=usage,
            cost_usd=0.0,
            started_at=self.clock.now,
            first_token_s=0.2,
            duration_s=1.2,
        )
        return {
            "tier": tier,
            "instance": "built-in",
            "model": "smollm2-135m",
            "usage": usage,
            "cost_usd": 0.0,
            "first_token_s": 0.2,
            "duration_s": 1.2,
            "attempts": (attempt,),
            "request_id": "req_1",
        }

    async def list(
        self, query: str = "", *, limit: int = 200, offset: int = 0, trashed: bool = False
    ) -> tuple[Conversation, ...]:
        self.calls.append(("list", query, limit, trashed))
        rows = [row for row in self.conversations.values() if (row.id in self.trash_ids) == trashed]
        if query:
            rows = [row for row in rows if query.lower() in (row.title + " " + row.snippet).lower()]
        rows.sort(key=lambda row: (not row.is_pinned, -row.updated_at.timestamp()))
        return tuple(rows[offset : offset + limit])

    async def open(self, conversation_id: str) -> ConversationView:
        self.calls.append(("open", conversation_id))
        if conversation_id not in self.conversations:
            raise NotFound("There is no such chat.")
        return ConversationView(
            conversation=self.conversations[conversation_id], messages=tuple(self.messages[conversation_id])
        )

    async def create(self, title: str = "") -> Conversation:
        return self.conversations[self.add(title)]

    async def send(
        self,
        conversation_id: str | None,
        text: str,
        *,
        parent_id: str | None = None,
        pins: Any = None,
        images: tuple[Any, ...] = (),
    ) -> Turn:
        self.calls.append(("send", conversation_id, text, parent_id, pins, *((images,) if images else ())))
        if self.refuse_send is not None:
            raise self.refuse_send
        cid = conversation_id or self.add(text[:40])
        question = ChatMessage(
            id=self._id("msg"),
            conversation_id=cid,
            parent_id=parent_id,
            role="user",
            text=text,
            pictures=sum(not isinstance(each, DocumentBlock) for each in images),
            documents=tuple(each.name for each in images if isinstance(each, DocumentBlock)),
            created_at=self.clock.now,
        )
        self.messages[cid].append(question)
        return self._begin(cid, question)

    def _begin(self, cid: str, question: ChatMessage, beside: tuple[str, ...] = ()) -> Turn:
        answer_id = self._id("ans")
        siblings = (*beside, answer_id) if beside else ()
        answer = ChatMessage(
            siblings=siblings,
            variant=len(siblings) or 1,
            variants=len(siblings) or 1,
            id=answer_id,
            conversation_id=cid,
            parent_id=question.id,
            role="assistant",
            text="",
            status="streaming",
            created_at=self.clock.now,
        )
        self.messages[cid].append(answer)
        self.bus.publish(AnswerStarted(message=answer, **self._stamp()))
        return Turn(conversation_id=cid, question=question, answer_id=answer.id)

    def _answer(self, answer_id: str) -> tuple[list[ChatMessage], int]:
        for messages in self.messages.values():
            for at, message in enumerate(messages):
                if message.id == answer_id:
                    return messages, at
        raise KeyError(answer_id)

    def grow(self, answer_id: str, text: str, *, thinking: str = "", is_lost: bool = False) -> None:
        """More text; with `is_lost` the fact about it never arrives."""
        messages, at = self._answer(answer_id)
        before = messages[at]
        messages[at] = msgspec.structs.replace(
            before, text=before.text + text, thinking=before.thinking + thinking
        )
        if not is_lost:
            self.bus.publish(
                AnswerGrew(
                    conversation_id=before.conversation_id,
                    answer_id=answer_id,
                    at_char=len(before.text),
                    text=text,
                    thinking=thinking,
                    **self._stamp(),
                )
            )

    def end(self, answer_id: str, **fields: Any) -> None:
        messages, at = self._answer(answer_id)
        values: dict[str, Any] = {"status": "complete", **self.answered(), **fields}
        messages[at] = msgspec.structs.replace(messages[at], **values)
        self.bus.publish(AnswerEnded(message=messages[at], **self._stamp()))

    async def edit(self, message_id: str, text: str, *, pins: Any = None) -> Turn:
        self.calls.append(("edit", message_id, text))
        messages, at = self._answer(message_id)
        old = messages[at]
        new_id = self._id("msg")
        siblings = (*(old.siblings or (old.id,)), new_id)
        question = msgspec.structs.replace(
            old, id=new_id, text=text, siblings=siblings, variant=len(siblings), variants=len(siblings)
        )
        self.messages[old.conversation_id] = [*messages[:at], question]
        return self._begin(old.conversation_id, question)

    async def regenerate(self, message_id: str, *, pins: Any = None) -> Turn:
        self.calls.append(("regenerate", message_id, pins))
        messages, at = self._answer(message_id)
        old = messages[at]
        self.messages[old.conversation_id] = messages[:at]
        question = messages[at - 1]
        return self._begin(old.conversation_id, question, old.siblings or (old.id,))

    async def choose(self, message_id: str) -> ConversationView:
        self.calls.append(("choose", message_id))
        _, _at = self._answer(message_id)
        return await self.open(self._answer(message_id)[0][0].conversation_id)

    async def stop(self, conversation_id: str) -> bool:
        self.calls.append(("stop", conversation_id))
        for message in self.messages[conversation_id]:
            if message.status == "streaming":
                self.end(message.id, status="stopped")
                return True
        return False

    def _change(self, conversation_id: str, *, is_gone: bool = False, **fields: Any) -> None:
        self.conversations[conversation_id] = msgspec.structs.replace(
            self.conversations[conversation_id], **fields
        )
        self.bus.publish(
            ConversationChanged(conversation_id=conversation_id, is_gone=is_gone, **self._stamp())
        )

    async def rename(self, conversation_id: str, title: str) -> None:
        self.calls.append(("rename", conversation_id, title))
        self._change(conversation_id, title=title)

    async def pin(self, conversation_id: str, is_pinned: bool) -> None:
        self.calls.append(("pin", conversation_id, is_pinned))
        self._change(conversation_id, is_pinned=is_pinned)

    async def trash(self, conversation_id: str) -> None:
        self.calls.append(("trash", conversation_id))
        self.trash_ids.add(conversation_id)
        self._change(conversation_id, is_gone=True)

    async def restore(self, conversation_id: str) -> None:
        self.calls.append(("restore", conversation_id))
        self.trash_ids.discard(conversation_id)
        self._change(conversation_id)

    async def save_draft(self, conversation_id: str, text: str) -> None:
        self.calls.append(("draft", conversation_id, text))
        self.conversations[conversation_id] = msgspec.structs.replace(
            self.conversations[conversation_id], draft=text
        )

    async def import_file(self, path: Path, on_progress: Any) -> Imported:
        for progress in self.import_steps:
            on_progress(progress)
        return Imported(
            conversations=("imp_1", "imp_2"), grown=("imp_3",), known=4, notes=("2 files are named.",)
        )

    async def shares(self, conversation_id: str) -> ContextShares:
        words = [message.text for message in self.messages.get(conversation_id, [])]
        newest = sum(len(text) for text in words[-2:])
        return ContextShares(
            conversation_id=conversation_id,
            system=self.system_tokens,
            history=max(sum(len(text) for text in words) - newest, self.history_tokens),
            newest=newest,
        )

    async def pictures(self, message_id: str) -> tuple[Any, ...]:
        return self.images.get(message_id, ())

    async def export(self, conversation_id: str, form: str) -> str:
        return "\n\n".join(message.text for message in self.messages[conversation_id])


LANE = Lane(
    tier=Tier.LOCAL, instance="built-in", kind="llamacpp", offer=ModelOffer(id="smollm2-135m", context=2048)
)
CLOUD = Lane(
    tier=Tier.CLOUD, instance="openai-main", kind="openai", offer=ModelOffer(id="gpt-x", context=128_000)
)


class FakeCuration:
    """Nothing is curated until a test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.told: dict[str, CurationMeter] = {}
        self.parts: tuple[SeenPart, ...] = ()
        self.made: tuple[CurationEdit, ...] = ()

    async def meter(self, conversation_id: str) -> CurationMeter:
        return self.told.get(conversation_id) or CurationMeter(conversation_id=conversation_id, is_on=True)

    async def edits(self, conversation_id: str) -> tuple[CurationEdit, ...]:
        return self.made

    async def seen(self, conversation_id: str) -> tuple[SeenPart, ...]:
        return self.parts

    async def undo(self, conversation_id: str, number: int) -> None:
        self.calls.append(("undo", conversation_id, number))

    async def undo_epoch(self, conversation_id: str, epoch: int) -> None:
        self.calls.append(("undo_epoch", conversation_id, epoch))

    async def keep(self, conversation_id: str, message_id: str) -> None:
        self.calls.append(("keep", conversation_id, message_id))

    async def prepare(self, conversation_id: str) -> None:
        self.calls.append(("prepare", conversation_id))

    async def set_on(self, conversation_id: str, is_on: bool) -> None:
        self.calls.append(("set_on", conversation_id, is_on))
        self.told[conversation_id] = msgspec.structs.replace(await self.meter(conversation_id), is_on=is_on)


class FakeLlm:
    def __init__(self, chat: FakeChat) -> None:
        self.chat = chat
        self.marks: list[tuple[str, bool]] = []
        self.served: tuple[Lane, ...] = (LANE, CLOUD)
        self.attempts: dict[str, tuple[Any, ...]] = {}
        self.sums: dict[str, tuple[SummaryRow, ...]] = {}
        self.limits: tuple[BudgetRow, ...] = ()

    async def explain(self, text: str, *, requires: tuple[str, ...] = (), pins: Any = None) -> RouteDecision:
        return RouteDecision(
            candidates=(LANE,),
            left_out=(LeftOut(lane=CLOUD, reason="circuit", why="3 failures in 300 s, retry in 41 s"),),
        )

    async def lanes(self) -> tuple[Lane, ...]:
        return self.served

    async def keep_private(self, conversation_id: str, is_private: bool = True) -> None:
        self.marks.append((conversation_id, is_private))
        held = self.chat.conversations
        held[conversation_id] = msgspec.structs.replace(held[conversation_id], is_private=is_private)

    async def ledger(self, *, request: str = "") -> tuple[Any, ...]:
        return self.attempts.get(request, ())

    async def ledger_summary(self, by: str) -> tuple[SummaryRow, ...]:
        return self.sums.get(by, ())

    async def budgets(self) -> tuple[BudgetRow, ...]:
        return self.limits


def fit(label: str = "fits", context: int = 2048) -> ModelFit:
    return ModelFit(
        label=label,
        weights_bytes=92_000_000,
        kv_bytes=context * 46_000,
        compute_bytes=120_000_000,  # type: ignore[arg-type]
        margin_bytes=30_000_000,
        total_bytes=242_000_000 + context * 46_000,
        available_bytes=8 * GB,
        where="memory",
        context=context,
        lines=("weights 92 MB",),
    )


class FakeModels:
    def __init__(self, bus: EventBus) -> None:
        self.bus = bus
        self.calls: list[tuple[Any, ...]] = []
        self.processes: tuple[EngineRow, ...] = ()
        self.held: tuple[PullProgressed, ...] = ()
        self.digest = "9c41" + "0" * 56 + "e07b"
        self.rows: dict[str, ModelRow] = {
            row.name: row
            for row in (
                ModelRow(
                    name="smollm2-135m-instruct", path="/models/smollm2.gguf", size_bytes=92_000_000,
                    architecture="llama", parameters=135_000_000, quantisation="Q4_1", context_max=8192,
                    licence="Apache-2.0", has_template=True, is_loaded=True, is_starter=True, fit=fit(),
                    tokens_per_s=41.0, sha256="9c41" + "0" * 56 + "e07b", source="bundled",
                ),
                ModelRow(
                    name="qwen3-coder-30b-a3b", path="/models/q.gguf", size_bytes=13_800_000_000,
                    architecture="qwen3", parameters=30_500_000_000, quantisation="Q3_K_M", context_max=262_144,
                    licence="Apache-2.0", has_template=True, fit=fit("tight"),
                ),
                ModelRow(
                    name="llama-3.3-70b-instruct", path="/models/l.gguf", size_bytes=42_500_000_000,
                    architecture="llama", parameters=70_600_000_000, quantisation="Q4_K_M", context_max=131_072,
                    fit=fit("too_large"), problem="",
                ),
            )
        }  # fmt: skip

    def _changed(self, name: str) -> None:
        at_utc, at_mono_s = self.bus.stamp()
        self.bus.publish(ModelChanged(name=name, at_utc=at_utc, at_mono_s=at_mono_s))

    async def list(self, *, context: int | None = None) -> tuple[ModelRow, ...]:
        self.calls.append(("list", context))
        return tuple(self.rows.values())

    async def fit(self, name: str, context: int) -> ModelFit:
        self.calls.append(("fit", name, context))
        return fit(context=context)

    async def import_file(self, path: str) -> ModelRow:
        if not str(path).endswith(".gguf"):
            raise InvalidInput(
                f"{Path(path).name} is not a GGUF file.", hint="Choose a file that ends in .gguf."
            )
        row = ModelRow(name=Path(path).stem, path=str(path), size_bytes=5, fit=fit())
        self.rows[row.name] = row
        self._changed(row.name)
        return row

    async def remove(self, name: str) -> None:
        self.calls.append(("remove", name))
        del self.rows[name]
        self._changed(name)

    async def load(self, name: str) -> None:
        self.calls.append(("load", name))

    async def engines(self) -> tuple[EngineRow, ...]:
        return self.processes

    async def unload(self, name: str) -> None:
        self.calls.append(("unload", name))
        self.rows[name] = msgspec.structs.replace(self.rows[name], is_loaded=False)
        self._changed(name)

    async def verify(self, name: str) -> str:
        self.calls.append(("verify", name))
        return self.digest

    async def measure(self, name: str) -> ModelRow:
        self.calls.append(("measure", name))
        self.rows[name] = msgspec.structs.replace(self.rows[name], tokens_per_s=77.0)
        return self.rows[name]

    async def pull(self, name: str, *, allow_private: bool = False) -> str:
        self.calls.append(("pull", name, allow_private))
        if "//192.168." in name and not allow_private:
            raise PrivateAddress("192.168.1.5")
        self.progress(name, "downloading", 10, 100)
        return name

    async def pulls(self) -> tuple[PullProgressed, ...]:
        return self.held

    async def pause_pull(self, name: str) -> None:
        self.calls.append(("pause", name))
        self.progress(name, "paused", 10, 100)

    async def resume_pull(self, name: str) -> None:
        self.calls.append(("resume", name))
        self.progress(name, "downloading", 10, 100)

    async def discard_pull(self, name: str) -> None:
        self.calls.append(("discard", name))

    async def cancel_pull(self, name: str) -> None:
        self.calls.append(("cancel", name))
        self.progress(name, "cancelled", 10, 100)

    def progress(self, name: str, state: str, done: int, total: int, problem: str = "") -> None:
        at_utc, at_mono_s = self.bus.stamp()
        self.bus.publish(
            PullProgressed(
                name=name,
                state=state,
                done_bytes=done,
                total_bytes=total,
                bytes_per_s=1.0,
                problem=problem,
                at_utc=at_utc,
                at_mono_s=at_mono_s,
            )
        )

    def catalogue(self) -> tuple[Any, ...]:
        return ()

    async def hardware(self) -> Any:
        return SimpleNamespace(
            cores=2, memory_bytes=32 * GB, memory_free_bytes=24 * GB, gpus=(), disk_free_bytes=214 * GB
        )


class FakeProviders:
    def __init__(self, bus: EventBus) -> None:
        self.bus = bus
        self.rows: dict[str, ProviderRow] = {
            "built-in": ProviderRow(
                name="built-in", kind="llamacpp", tier="local", is_builtin=True, models=(LANE.offer,)
            ),
            "openai-main": ProviderRow(
                name="openai-main",
                kind="openai",
                tier="cloud",
                base_url="https://api.openai.com/v1",
                has_key=True,
                circuit="open",
                failures=3,
                retry_in_s=41.0,
            ),
        }
        self.good_key = "right"
        self.servers: tuple[Any, ...] = ()
        self.calls: list[tuple[Any, ...]] = []

    def kinds(self) -> tuple[Any, ...]:
        return tuple(
            SimpleNamespace(
                kind=kind, title=title, default_base_url=url, needs_key=needs, tier=tier, address_hint=address,
                key_hint=key,
            )
            for kind, title, url, needs, tier, address, key in (
                ("ollama", "Ollama", "http://127.0.0.1:11434", False, "local", "", ""),
                ("openai", "OpenAI", "https://api.openai.com/v1", True, "frontier", "", ""),
                ("anthropic", "Anthropic", "https://api.anthropic.com", True, "frontier", "", ""),
                ("mlx", "MLX", "", False, "local", "empty, or http://127.0.0.1:8080/v1", "None; its models are folders."),
                ("vertex", "Vertex", "", False, "cloud", "https://REGION.example/PROJECT", "A service account's file."),
            )
        )  # fmt: skip

    async def list(self) -> tuple[ProviderRow, ...]:
        return self.known()

    def known(self) -> tuple[ProviderRow, ...]:
        return tuple(self.rows.values())

    async def find(self) -> tuple[Any, ...]:
        self.calls.append(("find",))
        return self.servers

    async def test(self, name_or_spec: Any, key: str | None = None) -> TestResult:
        self.calls.append(("test", name_or_spec, key))
        if key == self.good_key or isinstance(name_or_spec, str):
            return TestResult(
                is_ok=True, why="Answered in 210 ms, 3 models.", latency_s=0.21, models=(CLOUD.offer,)
            )
        return TestResult(is_ok=False, why="The key was refused. Check that it is complete.")

    async def add(self, spec: Any, key: str | None = None, *, test: bool = True) -> ProviderRow:
        self.calls.append(("add", spec, key, test))
        if test and key != self.good_key:
            raise BadCredentials("The key was refused.", hint="Check that it is complete.")
        row = ProviderRow(
            name=spec.name,
            kind=spec.kind,
            tier=spec.tier or "cloud",
            base_url=spec.base_url,
            has_key=bool(key),
        )
        self.rows[spec.name] = row
        self._changed(spec.name)
        return row

    async def remove(self, name: str) -> None:
        self.calls.append(("remove", name))
        del self.rows[name]
        self._changed(name)

    async def try_model(self, name: str, model: str) -> ModelTrial:
        self.calls.append(("try_model", name, model))
        return ModelTrial(
            model=model,
            findings=(
                Finding(capability="tools", is_able=True, why="It called the tool."),
                Finding(capability="vision", is_able=False, why="The server refused the picture."),
                Finding(capability="thinking", is_able=None, why="It did not think this time."),
            ),
            suggested=ModelFacts(model=model, tools=True, vision=False),
        )

    async def describe_model(self, name: str, facts: ModelFacts) -> ProviderRow:
        self.calls.append(("describe_model", name, facts))
        row = self.rows[name]
        offer = next(each for each in row.models if each.id == facts.model)
        able = set(offer.capabilities)
        for ability in ("tools", "vision", "thinking", "structured_output"):
            told = getattr(facts, ability)
            if told is not None:
                (able.add if told else able.discard)(ability)
        new = msgspec.structs.replace(
            offer, capabilities=frozenset(able), context=facts.context or offer.context
        )
        return self._described(name, new, (*row.described, offer.id))

    async def forget_model(self, name: str, model: str) -> ProviderRow:
        self.calls.append(("forget_model", name, model))
        left = tuple(each for each in self.rows[name].described if each != model)
        return self._described(name, ModelOffer(id=model, context=8192), left)

    def _described(self, name: str, offer: ModelOffer, described: tuple[str, ...]) -> ProviderRow:
        row = self.rows[name]
        models = tuple(offer if each.id == offer.id else each for each in row.models)
        self.rows[name] = msgspec.structs.replace(row, models=models, described=described)
        self._changed(name)
        return self.rows[name]

    def trip(self, name: str) -> None:
        self.calls.append(("trip", name))

    def drain(self, name: str) -> None:
        self.calls.append(("drain", name))
        self.rows[name] = msgspec.structs.replace(self.rows[name], is_draining=True)
        self._changed(name)

    def reset(self, name: str) -> None:
        self.calls.append(("reset", name))
        self.rows[name] = msgspec.structs.replace(
            self.rows[name], circuit="closed", failures=0, retry_in_s=0.0, is_tripped=False, is_draining=False
        )
        self._changed(name)

    def _changed(self, name: str) -> None:
        at_utc, at_mono_s = self.bus.stamp()
        self.bus.publish(ProviderChanged(name=name, at_utc=at_utc, at_mono_s=at_mono_s))


class FakeRoutes:
    """The ladder over the fake providers; `measured`, `live` and `figures` are a test's to fill."""

    def __init__(self, clock: FakeClock, providers: FakeProviders, llm: FakeLlm) -> None:
        self.clock, self.providers, self.llm = clock, providers, llm
        self.measured: dict[str, Measured] = {}
        self.live: tuple[AttemptBegan, ...] = ()
        self.figures = Figures()
        self.closed: dict[str, str] = {}
        self.calls: list[tuple[Any, ...]] = []

    async def ladder(self) -> Ladder:
        self.calls.append(("ladder",))
        return Ladder(
            at=self.clock.now,
            rungs=tuple(
                Rung(
                    tier=tier.word,
                    places=tuple(
                        Place(row=row, running=0, measured=self.measured.get(row.name, Measured()))
                        for row in self.providers.rows.values()
                        if row.tier == tier.word
                    ),
                    closed=self.closed.get(tier.word, ""),
                )
                for tier in Tier
            ),
            figures=self.figures,
            live=self.live,
        )

    async def explain(
        self,
        text: str,
        *,
        requires: tuple[str, ...] = (),
        context_tokens: int = 0,
        pins: Any = None,
        is_private: bool = False,
    ) -> RouteDecision:
        self.calls.append(("explain", text, requires, context_tokens, pins, is_private))
        return await self.llm.explain(text, requires=requires, pins=pins)


def setting(key: str, title: str, type_: str, value: Any, **more: Any) -> SettingRow:
    return SettingRow(
        key=key,
        title=title,
        description=more.pop("description", f"About {title.lower()}."),
        group=more.pop("group", "General"),
        level=more.pop("level", "simple"),
        type=type_,
        value=value,
        default=more.pop("default", value),
        **more,
    )


class FakeSettings:
    def __init__(self, bus: EventBus) -> None:
        self.bus = bus
        self.path = Path("/home/someone/.config/legion/config.toml")
        self.problems: tuple[str, ...] = ()
        self.looks = 0
        self.values = [
            setting("mode", "Mode", "choice", "lite", choices=("lite", "full")),
            setting(
                "appearance.theme",
                "Theme",
                "choice",
                "system",
                choices=("system", "light", "dark", "contrast"),
                group="Appearance",
            ),
            setting(
                "appearance.text_scale",
                "Text size",
                "float",
                1.0,
                minimum=0.8,
                maximum=2.0,
                group="Appearance",
            ),
            setting("chat.show_thinking", "Show reasoning", "bool", False, group="Chat"),
            setting("chat.system_prompt", "Standing instructions", "str", "", group="Chat"),
            setting(
                "gateway.continue_broken",
                "Continue a broken answer",
                "bool",
                True,
                group="Routing",
                description="Another instance picks up where the text stopped. A thin line marks the place.",
            ),
            setting(
                "gateway.failures",
                "Failures before a circuit opens",
                "int",
                5,
                default=3,
                minimum=1,
                maximum=100,
                unit="failures",
                group="Routing",
            ),
            setting(
                "server.port",
                "Port",
                "int",
                4567,
                minimum=1024,
                maximum=65535,
                group="Network",
                level="full",
                needs_restart=True,
            ),
            setting("models.folder", "Model folder", "path", "/models", group="Models", level="full"),
            setting("server.hosts", "Allowed hosts", "list", ("localhost",), group="Network", level="full"),
        ]

    def rows(self) -> tuple[SettingRow, ...]:
        return tuple(self.values)

    def get(self, key: str) -> Any:
        return next(row.value for row in self.values if row.key == key)

    async def set(self, key: str, value: Any) -> None:
        for at, row in enumerate(self.values):
            if row.key == key:
                if row.maximum is not None and value > row.maximum:
                    raise InvalidInput(
                        f"{value} is above {row.maximum:g}.", hint=f"Enter {row.maximum:g} or less."
                    )
                self.values[at] = msgspec.structs.replace(row, value=value)
        self._changed(key)

    async def reset(self, key: str) -> None:
        await self.set(key, next(row.default for row in self.values if row.key == key))

    def faults(self) -> tuple[str, ...]:
        return self.problems

    async def look_again(self) -> bool:
        self.looks += 1
        return False

    def _changed(self, key: str) -> None:
        at_utc, at_mono_s = self.bus.stamp()
        self.bus.publish(SettingChanged(key=key, at_utc=at_utc, at_mono_s=at_mono_s))


class FakeSecrets:
    def __init__(self) -> None:
        self.held: dict[str, str] = {"provider-openai-main": "x"}
        self.store, self.passphrase = "keyring", "open sesame"

    async def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.held))

    async def set(self, name: str, value: str) -> None:
        self.held[name] = value

    async def remove(self, name: str) -> None:
        self.held.pop(name)

    async def backend(self) -> str:
        return self.store

    async def unlock(self, passphrase: str) -> None:
        if passphrase != self.passphrase:
            raise Denied("The passphrase is wrong.", hint="Try again.")
        self.store = "file"


class FakeOps:
    def __init__(self, clock: FakeClock) -> None:
        self.value = Status(
            version="0.1.0",
            pid=1,
            mode="lite",
            started_at=clock.now,
            uptime_s=1.0,
            url="http://127.0.0.1:4567",
            token_path="/home/token",
            home="/home",
            model="smollm2-135m-instruct",
            tier="local",
            spent_today_usd=0.14,
        )

    async def status(self) -> Status:
        return self.value

    async def doctor(self) -> tuple[Any, ...]:
        return ()


class FakeLegion:
    """The facade, all of it in memory."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events = EventBus(self.clock)
        self.chat = FakeChat(self.events, self.clock)
        self.llm = FakeLlm(self.chat)
        self.curation = FakeCuration()
        self.models = FakeModels(self.events)
        self.providers = FakeProviders(self.events)
        self.routes = FakeRoutes(self.clock, self.providers, self.llm)
        self.settings = FakeSettings(self.events)
        self.secrets = FakeSecrets()
        self.rbac = FakeRbac(self.clock)
        self.tokens = ClientTokens(self.events, self.clock, self.rbac.authorizer)
        self.ops = FakeOps(self.clock)
        self.tasks = FakeTasks()
        self.activity = FakeActivity(self.events, self.tasks, self.clock.now)
        self.llm.attempts = self.activity.attempts
        self.schedules = FakeSchedules(self.events, self.clock.now)
        self.extensions = FakeExtensions()
        self.chains = FakeChains(self.events, lambda: self.clock.now)
        self.connect = FakeConnect(self.events)
        self.mcp = FakeMcp()
        self.network = FakeNetwork()


class StepSpawner:
    """Runs intents at once, without a loop: fine for fakes that never really wait."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.held: list[Coroutine[Any, Any, Any]] | None = None

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> Any:
        self.names.append(name)
        if name == "app.facts":
            work.close()
            return None
        if self.held is not None:
            self.held.append(work)
            return None
        self.step(work)
        return None

    def hold(self) -> None:
        """From now on intents wait for `release`, as they do with a real engine."""
        self.held = []

    def release(self) -> None:
        held, self.held = self.held or [], None
        for work in held:
            self.step(work)

    @staticmethod
    def step(work: Coroutine[Any, Any, Any]) -> None:
        try:
            work.send(None)
        except StopIteration:
            return
        raise AssertionError("the fake engine waited")


async def settle(condition: Awaitable[Any] | None = None, turns: int = 20) -> None:
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)


__all__ = ["FakeLegion", "Mapping", "StepSpawner", "Supervisor", "settle"]
