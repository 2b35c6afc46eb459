"""What people may ask of a case, and the rules for it. Whoever handled a case neither checks nor closes it.

PassCheck   -> Verified and Evaluated: closed as fixed
FailCheck   -> Failed and Evaluated: rework
ForceClose  -> Evaluated: closed as forced

`may_check` and `may_force_closing` hold the rules that depend only on who asks and on the state. Both
`decide` and `actions` ask them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from chassis.engine.decider import Facts, Inputs, Refused, Unknown, refusal
from contracts import times
from contracts.feedback import Evaluated
from contracts.fields import Attachment
from contracts.progress import Failed, Verified
from contracts.reference import Policy
from contracts.times import Counted
from services.feedback.domain.case import Case, Ruling, done, handlers, handling_units, last_known_at
from services.feedback.domain.verdicts import closed


@dataclass(frozen=True, slots=True)
class By:
    """Who asks, as far as the rules do."""

    subject: str
    unit: str | None = None
    evaluator: bool = False


@dataclass(frozen=True, slots=True)
class PassCheck:
    """The check found the work done."""

    by: By
    note: str | None = None
    evidence: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class FailCheck:
    """The check found the work of the `failed` assignments wanting; none named: the lead's."""

    by: By
    reason: str
    note: str | None = None
    evidence: tuple[Attachment, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForceClose:
    """The shift leader ends a case that no check can end."""

    by: By
    reason: str


Command = PassCheck | FailCheck | ForceClose
Action = Literal["check", "force_closing"]
"""What may be done with a case: check it, with either result, or close it by force."""


def decide(command: Command, case: Case, inputs: Inputs) -> Facts:
    """The facts that follow. Raises `Unknown` and `Refused`."""
    match command:
        case PassCheck(by=by):
            may_check(by, case, inputs)
            return (
                Verified(note=command.note, evidence=command.evidence),
                closed(case, "fixed", checked_by=by.subject),
            )
        case FailCheck(by=by):
            may_check(by, case, inputs)
            return _fail_check(command, case)
        case ForceClose(by=by):
            may_force_closing(by, case, inputs)
            return (closed(case, "forced", reason=command.reason),)


def may_check(by: By, case: Case, inputs: Inputs) -> None:
    """Raises `Unknown` and `Refused` unless the case waits for a check that this person may make."""
    ruling = _open(case, inputs)
    if case.checking is None:
        raise Refused("check.not_ready", "the work on the case is not done, there is nothing to check yet")
    if ruling.check.method == "call_back" and not by.evaluator:
        raise Refused("check.by", f"the check is a call back by {ruling.check.by}: it takes an evaluator")
    _refuse_handler("check.separation", by, case, "checks")


def may_force_closing(by: By, case: Case, inputs: Inputs) -> None:
    """Raises `Unknown` and `Refused` unless the case is open and this person did not handle it."""
    _open(case, inputs)
    _refuse_handler("closing.separation", by, case, "closes")


def actions(by: By, case: Case, inputs: Inputs) -> Mapping[Action, Refused | None]:
    """What may be done with the case, and for each the rule that forbids it now, if one does."""
    return {
        "check": refusal(may_check, by, case, inputs),
        "force_closing": refusal(may_force_closing, by, case, inputs),
    }


def counted(_: Command, case: Case, inputs: Inputs, policy: Policy) -> Counted:
    """Which instant counts: that of arrival; in a case entered long after the fact, the claimed one."""
    return times.counted(
        inputs.claimed,
        inputs.at,
        skew=timedelta(seconds=policy.max_future_skew_seconds),
        earliest=_follows(case),
        believed=inputs.believed and case.retrospective,
    )


def _follows(case: Case) -> datetime | None:
    """The instant of what a command follows: the begin of the check, or the work."""
    return case.checking.since if case.checking is not None else last_known_at(case)


def _open(case: Case, inputs: Inputs) -> Ruling:
    """The ruling in force of a case that is not closed. Raises `Unknown` and `Refused`."""
    if case.closing is not None:
        raise Refused("case.closed", f"the case was closed as {case.closing.outcome}")
    if case.ruling is None:
        raise Unknown(f"there is no case {inputs.stream}")
    return case.ruling


def _fail_check(command: FailCheck, case: Case) -> Facts:
    return (
        Failed(reason=command.reason, note=command.note, evidence=command.evidence),
        Evaluated(
            verdict="rework",
            reason=command.reason,
            failed=_failed(command, case),
            checked_by=command.by.subject,
            reworks=case.reworks + 1,
        ),
    )


def _failed(command: FailCheck, case: Case) -> tuple[str, ...]:
    counting = {one.assignment_id: one for one, _ in done(case)}
    if not command.failed:
        return tuple(name for name, one in counting.items() if one.lead)
    strangers = sorted(set(command.failed) - counting.keys())
    if strangers:
        raise Refused("check.failed", f"{strangers[0]} is not an assignment whose work counts for this case now")
    return tuple(sorted(set(command.failed)))


def _refuse_handler(rule: str, by: By, case: Case, does: str) -> None:
    if by.subject in handlers(case):
        raise Refused(rule, f"{by.subject} handled the case, and whoever handled a case never {does} it")
    if by.unit is not None and by.unit in handling_units(case):
        raise Refused(rule, f"{by.unit} handled the case, and whoever handled a case never {does} it")
