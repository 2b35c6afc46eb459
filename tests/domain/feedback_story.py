"""One case as feedback's runtime would take it through its decider, and any history of one, for tests of the domain."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from chassis.engine.decider import Decider, Inputs, Unfit, decided
from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import EARLIEST, Fact
from contracts.intake import Rating, Reopening
from contracts.progress import Extended
from contracts.reference import Policy
from contracts.triage import Assignment, Check, CheckMethod, Dispatched, Upheld, Withdrawn
from contracts.wire import Circumstances, build
from deploy.district import __main__ as district
from services.feedback.domain import decider
from services.feedback.domain.case import Case, lead
from services.feedback.domain.commands import By, Command, PassCheck
from services.feedback.views import VIEWS
from tests.support import rulings
from tests.support.facts import home_of

POLICY = Policy.model_validate_json((Path(district.__file__).parent / "policy.json").read_bytes())
FEEDBACK: Decider[Command, Case] = decider(POLICY)
NOW = datetime(2026, 5, 9, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
OTHER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a12"
AREA = "CH/shuangqiaozi/xinhong/g007"
WATER, STREET, FIRE, GRID = "dept:water", "street:CH/shuangqiaozi", "dept:fire", f"grid:{AREA}"
CHECKER = By("member:g009-1", "grid:CH/shuangqiaozi/xinhong/g009")
CALLER = By("evaluator:1", evaluator=True)
LEADER = By("leader:1")
REPORTER = By("reporter:1")
CLOSING = "019e0a9c-1f78-7c3e-8b1a-2ee000000001"
"""The event that closes a case, for who rates it: its first verdict, however many steps came before."""


def name(round_: int, number: int) -> str:
    return f"{CASE}.{round_}.{number}"


def assignment(round_: int, number: int, unit: str, *, lead: bool = False, replaces: str | None = None) -> Assignment:
    return rulings.assignment(name(round_, number), unit, NOW, lead=lead, replaces=replaces)


LEAD = assignment(1, 1, WATER, lead=True)
SUPPORT = assignment(1, 2, STREET)


def plan(round_: int, *assignments: Assignment, method: CheckMethod = "photo", **more: Any) -> Dispatched:
    check = Check(method=method, by="call_centre" if method == "call_back" else "grid", within_minutes=120)
    return rulings.dispatched(*assignments, area=AREA, filed_at=NOW, round=round_, check=check, **more)


def ended(assignment_id: str, unit: str, outcome: Outcome = "fixed", **more: Any) -> Resolved:
    return Resolved(
        assignment_id=assignment_id,
        unit=unit,
        outcome=outcome,
        reason=None if outcome == "fixed" else "not ours",
        resolve_by=more.pop("resolve_by", NOW + 4 * HOUR),
        late_by_seconds=more.pop("late_by_seconds", 0),
        **more,
    )


def extended(assignment_id: str, count: int, due_at: datetime) -> Extended:
    return Extended(assignment_id=assignment_id, unit=WATER, count=count, due_at=due_at)


def rated(rating: int, comment: str | None = None, **more: Any) -> Rating:
    return Rating(verdict_id=CLOSING, rating=rating, comment=comment, **more)


def event_of(
    fact: Fact,
    sequence: int,
    at: datetime,
    actor: str = "somebody",
    recorded: datetime | None = None,
    verdict: int | None = None,
) -> Any:
    """The fact as its home says it, its `sequence`-th of the case, and its `verdict`-th verdict if it is one."""
    source = home_of(fact)
    place = ("/services/triage", "/services/dispatch", "/services/feedback", "/services/intake").index(source)
    number = f"ee{verdict:09x}" if verdict is not None else f"{sequence:011x}"
    return build(
        fact,
        Circumstances(
            event_id=f"019e0a9c-1f78-7c3e-8b1a-{place}{number}",
            source=source,
            subject=CASE,
            time=at,
            recorded=recorded or at,
            sequence=sequence,
            actor=actor,
        ),
    )[0]


@dataclass
class Desk:
    """Runs one case as the runtime would, and keeps what was published."""

    state: Case = field(default_factory=lambda: FEEDBACK.initial)
    published: list[Fact] = field(default_factory=list)
    events: list[Event[Any]] = field(default_factory=list)
    now: datetime = NOW
    arrived: datetime = EARLIEST
    """When the latest of others' events came: nothing comes before it happened."""
    said: Counter[str] = field(default_factory=Counter)
    """Source -> how many facts of the case it has said."""

    def take(self, *facts: Fact, at: datetime = NOW) -> list[Fact]:
        """Others' facts, as of an instant; gives what followed from the last of them."""
        followed: list[Fact] = []
        for fact in facts:
            followed = self.hear(self._said(fact, at, "somebody", at))
        return followed

    def hear(self, *events: Event[Any]) -> list[Fact]:
        """Others' events; gives what followed from the last of them."""
        facts: Sequence[Fact] = ()
        for event in events:
            self.arrived = max(self.arrived, self.now, event.time)
            outcome = FEEDBACK.react(event, self.state, Inputs(at=self.arrived, now=self.arrived, stream=CASE))
            assert not isinstance(outcome, Unfit), outcome
            facts = outcome
            self.fold(event)
            self._publish(facts, self.now, "clock", self.now)
        return list(facts)

    def give(
        self, command: Command, at: datetime = NOW, *, claimed: datetime | None = None, believed: bool = True
    ) -> list[Fact]:
        """A person's command that arrives at an instant."""
        inputs = Inputs(at=at, now=at, stream=CASE, actor=command.by.subject, claimed=claimed, believed=believed)
        counted, facts = decided(FEEDBACK, command, self.state, inputs)
        self._publish(facts, counted.at, command.by.subject, at)
        return list(facts)

    def on_deadline(self, at: datetime) -> list[Fact]:
        """Time passes."""
        facts = FEEDBACK.on_deadline(self.state, Inputs(at, at, CASE))
        self._publish(facts, at, "clock", at)
        return list(facts)

    def fold(self, event: Event[Any]) -> None:
        self.events.append(event)
        self.state = FEEDBACK.evolve(self.state, event)

    def verdicts(self) -> list[Evaluated]:
        return [fact for fact in self.published if isinstance(fact, Evaluated)]

    @property
    def verdict_id(self) -> str:
        """The event that is its latest verdict."""
        return [event.id for event in self.events if isinstance(event.data, Evaluated)][-1]

    def publish(self, *facts: Fact, at: datetime = NOW) -> None:
        """Facts of its own, as if it had decided so."""
        self._publish(facts, at, "somebody", at)

    def steps(self) -> list[str]:
        return [fact.step for fact in self.published if fact.name == "Progressed"]  # pyright: ignore[reportAttributeAccessIssue]

    def _publish(self, facts: Sequence[Fact], at: datetime, actor: str, recorded: datetime) -> None:
        for fact in facts:
            self.published.append(fact)
            self.fold(self._said(fact, at, actor, recorded))

    def _said(self, fact: Fact, at: datetime, actor: str, recorded: datetime) -> Any:
        source = home_of(fact)
        self.said[source] += 1
        verdict = len(self.verdicts()) if isinstance(fact, Evaluated) else None
        return event_of(fact, self.said[source], at, actor, recorded, verdict)


def checking(method: CheckMethod = "photo", **more: Any) -> Desk:
    """A case whose work is done and waits for its check; worker:1 of the water company did it."""
    desk = Desk()
    desk.take(plan(1, LEAD, method=method, **more), ended(LEAD.id, WATER, handled_by=("worker:1",)))
    assert desk.steps() == ["checking"]
    return desk


def closed(**more: Any) -> Desk:
    """A case that was closed as fixed."""
    desk = checking(**more)
    desk.give(PassCheck(CHECKER))
    return desk


def score(verdict: Evaluated) -> dict[tuple[str, str | None], float]:
    return {(one.formula, one.unit): one.value for one in verdict.scores}


def row(desk: Desk, table: str) -> dict[str, Any]:
    """The first row of the case in a read model."""
    view = next(view for view in VIEWS if view.table == table)
    return dict(zip(view.columns, next(iter(view.rows(CASE, desk.state))), strict=True))


def due_at(desk: Desk) -> Any:
    answers = lead(desk.state)
    assert answers is not None
    return answers.resolve_by


TURNS = st.lists(st.integers(0, 3), max_size=80)


@dataclass
class Topics:
    """What triage, dispatch and intake say of one case, each topic in its own order."""

    assigned: list[Event[Any]] = field(default_factory=list)
    resolved: list[Event[Any]] = field(default_factory=list)
    extended: list[Event[Any]] = field(default_factory=list)
    reported: list[Event[Any]] = field(default_factory=list)
    """What its reporter says once it is closed."""
    said: int = 0
    """How many facts dispatch has said, on both its topics."""

    def ruling(self, fact: Fact) -> None:
        self.assigned.append(event_of(fact, len(self.assigned) + 1, NOW))

    def report(self, fact: Fact, actor: str) -> None:
        self.reported.append(event_of(fact, len(self.reported) + 2, NOW + timedelta(days=1), actor))

    def work(self, topic: list[Event[Any]], fact: Fact) -> None:
        self.said += 1
        topic.append(event_of(fact, self.said, NOW + timedelta(minutes=self.said)))

    def interleaved(self, turns: list[int]) -> list[Event[Any]]:
        """All topics in one order, each keeping its own."""
        topics = [list(self.assigned), list(self.resolved), list(self.extended), list(self.reported)]
        order = [topics[turn].pop(0) for turn in turns if topics[turn]]
        return order + [event for topic in topics for event in topic]


@st.composite
def stories(draw: st.DrawFn) -> Topics:
    """A case's rounds until everything is fixed or cancelled; some assignments are extended, some change hands.

    In some the reporter withdraws before the end, and what is open is cancelled. Some are rated or to be reopened, by
    whoever handled them, too.
    """
    story = Topics()
    for rater in draw(st.lists(st.sampled_from(["reporter:1", "worker:1"]), max_size=2, unique=True)):
        story.report(rated(draw(st.integers(1, 5)), unit=draw(st.sampled_from([None, GRID]))), rater)
    if draw(st.booleans()):
        story.report(Reopening(verdict_id=CLOSING, reason="again"), "reporter:1")
    method: CheckMethod = draw(st.sampled_from(["photo", "rule"]))
    units = [WATER, STREET, FIRE, GRID]
    given = [assignment(1, n + 1, unit, lead=n == 0) for n, unit in enumerate(units[: draw(st.integers(1, 4))])]
    withdrawn_in = draw(st.integers(1, 8))
    for round_ in range(1, 5):
        story.ruling(plan(round_, *given, method=method))
        if draw(st.booleans()):
            story.ruling(Upheld(reason="the matter is urgent"))
        back: list[Assignment] = []
        for n, one in enumerate(given):
            due_at = one.resolve_by
            for count in range(1, draw(st.integers(1, 3))):
                due_at += 4 * HOUR
                story.work(story.extended, extended(one.id, count, due_at))
            outcome: Outcome = draw(st.sampled_from(["fixed", "fixed", "returned", "cancelled"]))
            if round_ == withdrawn_in:
                outcome = "cancelled" if n == len(given) - 1 else draw(st.sampled_from(["fixed", "cancelled"]))
            elif round_ == 4 or (outcome == "cancelled" and one.lead):
                outcome = "fixed"
            if outcome == "returned":
                back.append(one)
            story.work(
                story.resolved,
                ended(
                    one.id,
                    draw(st.sampled_from([one.unit, "district:CH"])),
                    outcome,
                    resolve_by=due_at,
                    handled_by=draw(st.sampled_from([(), ("worker:1",)])),
                    time_doubtful=draw(st.booleans()),
                ),
            )
        if round_ == withdrawn_in:
            story.ruling(Withdrawn(reason="a mistake"))
            return story
        if not back:
            return story
        given = [assignment(round_ + 1, n + 1, one.unit, lead=one.lead, replaces=one.id) for n, one in enumerate(back)]
    raise AssertionError("the last round ends everything")
