"""The diagram of statuses shows the transitions that follow from the facts, and no others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from contracts import dispatch, feedback, intake, progress, status, triage
from contracts.causes import label
from contracts.fields import Fact
from contracts.progress import Failed as CheckFailed
from contracts.words import STATUSES
from tests.contracts.status_story import NOON, WHY, assignment, dispatched, event_of, resolved
from tests.docs.pages import blocks, page, rows, spans
from tests.support.facts import case_id

REPORT = intake.NewReport(channel="sensor", title="water")
CLOSED = feedback.Evaluated(verdict="closed", outcome="fixed")
REJECTED, UPHELD = triage.Rejected(why="not_ours", reason="x"), triage.Upheld(reason="x")
WAITS = progress.AwaitingRuling(queue="second_return", note="x", due_at=NOON)
MERGED = triage.Merged(into=case_id(), explanation=WHY)
ROUNDS = 2


@dataclass(frozen=True)
class Work:
    """An assignment as far as the services decide by it."""

    name: str
    lead: bool
    stage: int = 0
    """0 not acknowledged, 1 acknowledged, 2 en route, 3 on scene. Nothing depends on a support's."""
    end: Literal["", "fixed", "returned", "failed", "replaced"] = ""
    """`failed` at the check; `replaced` by an assignment of the next round."""


@dataclass(frozen=True)
class Story:
    """A case as it happens: what the services may say next, in words of what has been said."""

    last: str = ""
    round: int = 0
    work: tuple[Work, ...] = ()
    waits: bool = False
    checked: bool = False
    standing: status.Standing = field(default_factory=status.Standing)
    length: int = 0

    @property
    def status(self) -> str:
        return self.standing.status or "[*]"

    @property
    def known_by(self) -> tuple[Any, ...]:
        """What two stories have in common that go on alike."""
        return self.last, self.round, self.work, self.waits, self.checked, self.status

    def next(self) -> Iterator[Fact]:
        if not self.last:
            yield REPORT
        elif self.status in ("merged", "rejected", "withdrawn") or self.last == "verified":
            yield CLOSED
        elif self.last == "failed":
            done = [one.name for one in self.work if one.end == "fixed"]
            yield from (feedback.Evaluated(verdict="rework", failed=(assignment(name),)) for name in done)
        elif self.status != "closed":
            yield from self._filed() if self.round else self._unfiled()

    def _unfiled(self) -> Iterator[Fact]:
        yield from (dispatched("1.1"), dispatched("1.1", "1.2"), MERGED, REJECTED, triage.Withdrawn(reason="x"))
        if self.last == "new":
            yield from (progress.Verifying(category="c", area="CH", note="x", due_at=NOON), WAITS)
        if self.last == "verifying":
            yield progress.VerifiedBeforeFiling()

    def _filed(self) -> Iterator[Fact]:
        yield feedback.Evaluated(verdict="closed", outcome="forced")
        yield UPHELD if any(one.end == "fixed" for one in self.work) else triage.Withdrawn(reason="x")
        yield from (fact for one in self.work if not one.end for fact in self._of_open(one))
        ends = {one.end for one in self.work}
        if ends & {"returned", "failed"} and self.round < ROUNDS:
            again = [one for one in self.work if one.end in ("returned", "failed")]
            names = [f"{self.round + 1}.{n}" for n, _ in enumerate(again, start=1)]
            lead = next((name for name, one in zip(names, again, strict=True) if one.lead), "")
            yield dispatched(*names, lead=lead, instead=dict(zip(names, (one.name for one in again), strict=True)))
        if "returned" in ends:
            yield from (MERGED, REJECTED) if self.waits else (WAITS,)
        if ends <= {"fixed", "replaced"} and not self.checked:
            yield from (progress.Checking(due_at=NOON), progress.Verified(rule="done-in-order"))
        if self.last == "checking":
            yield from (progress.Verified(), CheckFailed(reason="still wet"))

    def _of_open(self, one: Work) -> Iterator[Fact]:
        name = assignment(one.name)
        if one.lead and one.stage == 0:
            yield progress.Acknowledged(assignment_id=name, unit="x", due_at=NOON)
        if one.lead and one.stage == 1:
            yield progress.EnRoute(assignment_id=name, unit="x")
        if one.lead and one.stage in (1, 2):
            yield progress.OnScene(assignment_id=name, unit="x")
            yield progress.HandedOn(assignment_id=name, unit="y", reason="yours", due_at=NOON)
        if one.stage < 3:
            yield resolved(one.name, "returned")
        if one.stage > 0 or not one.lead:
            yield resolved(one.name, "fixed")

    def after(self, fact: Fact) -> "Story":
        standing = status.evolve(self.standing, event_of(fact, self.length + 1))
        story = replace(self, last=label(fact), standing=standing, length=self.length + 1)
        match fact:
            case triage.Dispatched():
                new = tuple(Work(one.id.partition(".")[2], one.lead) for one in fact.plan)
                kept = [replace(one, end="replaced") if one.end in ("returned", "failed") else one for one in self.work]
                return replace(story, round=fact.round, work=(*kept, *new), waits=False)
            case progress.AwaitingRuling():
                return replace(story, waits=True)
            case progress.Checking() | progress.Verified():
                return replace(story, checked=True)
            case feedback.Evaluated(verdict="rework"):
                work = [replace(one, end="failed") if assignment(one.name) in fact.failed else one for one in self.work]
                return replace(story, checked=False, work=tuple(work))
            case dispatch.Resolved():
                return story.changed(fact.assignment_id, end=fact.outcome)
            case _ if (name := getattr(fact, "assignment_id", None)) is not None:
                return story.changed(name, stage={"acknowledged": 1, "en_route": 2, "on_scene": 3}.get(story.last, 0))
            case _:
                return story

    def changed(self, name: str, **fields: Any) -> "Story":
        return replace(
            self, work=tuple(replace(one, **fields) if assignment(one.name) == name else one for one in self.work)
        )


def transitions() -> set[tuple[str, str, str]]:
    """(from, fact, to) in every story that the services can tell, up to two rounds; `[*]` is before the first fact."""
    found: set[tuple[str, str, str]] = set()
    seen: set[Any] = set()
    waiting = [Story()]
    while waiting:
        story = waiting.pop()
        for fact in story.next():
            further = story.after(fact)
            if story.status != further.status:
                found.add((story.status, label(fact), further.status))
            if further.known_by not in seen:
                seen.add(further.known_by)
                waiting.append(further)
    return found


def drawn() -> set[tuple[str, str, str]]:
    """The same, from the page's diagram; a line from a frame goes from each status in it."""
    _, text = next((language, text) for language, text in blocks(page("status.md")) if language == "mermaid")
    frames: dict[str, set[str]] = {}
    edges: list[tuple[str, str, str]] = []
    frame = ""
    for line in text.splitlines():
        if match := re.fullmatch(r"\s+state (\w+) \{", line):
            frame = match[1]
        elif line.strip() == "}":
            frame = ""
        elif match := re.fullmatch(r"\s+(\S+) --> (\w+): (\w+)", line):
            start, end, fact = match.groups()
            edges.append((start, fact, end))
            if frame:
                frames.setdefault(frame, set()).update({start, end} - {"[*]"})
    return {(each, fact, end) for start, fact, end in edges for each in frames.get(start, {start})}


def test_the_diagram_of_statuses_is_what_follows_from_the_facts() -> None:
    assert drawn() == transitions()


def test_the_page_of_statuses_explains_each_in_the_words_of_the_documents_and_no_other() -> None:
    means = {spans(row["status"])[0]: row["means"] for row in rows(page("status.md"))}
    told = list(means)
    assert told == list(get_args(status.Status))
    reached = {end for _, _, end in drawn()}
    assert set(told) - reached == {"suspended"}
    for one, words in STATUSES.items():
        assert means[one].partition(";")[0] == words
