"""Which references a case bears, and that only those are disclosed for it."""

import pytest

from chassis.engine.decider import Unknown
from contracts.fields import Fact
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Disclosed
from services.intake.domain.commands import Disclose
from tests.domain.intake_story import CLOSED, MERGED, REJECTED, REPORT, case, decide, dispatched, refused

NAMELESS = NewReport(channel="citizen", title="water on the road")
SUPPLEMENT = Supplement(reporter_ref="reporter:2", text="in the cellars now")
WITHDRAWAL = Withdrawal(reporter_ref="reporter:3", reason="dried up")
WHY = "call back"


@pytest.mark.parametrize(
    ("facts", "borne"),
    [
        ([NAMELESS], set[str]()),
        ([REPORT], {"reporter:1"}),
        ([REPORT, Supplement(text="by an acceptor")], {"reporter:1"}),
        ([REPORT, SUPPLEMENT], {"reporter:1", "reporter:2"}),
        ([NAMELESS, SUPPLEMENT, WITHDRAWAL], {"reporter:2", "reporter:3"}),
        ([REPORT, dispatched(), CLOSED], {"reporter:1"}),
        ([REPORT, MERGED], {"reporter:1"}),
        ([REPORT, REJECTED], {"reporter:1"}),
    ],
)
def test_a_reference_is_disclosed_for_a_case_that_bears_it(facts: list[Fact], borne: set[str]) -> None:
    """Whatever became of it: a reporter is called back after the end, too."""
    state = case(*facts)
    for reference in ("reporter:1", "reporter:2", "reporter:3", "reporter:4"):
        command = Disclose(reference, WHY)
        if reference in borne:
            assert decide(command, state, "wang") == [Disclosed(reporter_ref=reference, purpose=WHY)]
        else:
            assert refused(command, state, "wang") == "disclosure.case"


def test_a_disclosure_changes_nothing_of_the_report() -> None:
    assert case(REPORT, Disclosed(reporter_ref="reporter:1", purpose=WHY)) == case(REPORT)


def test_of_a_case_without_a_report_nothing_is_disclosed() -> None:
    with pytest.raises(Unknown):
        decide(Disclose("reporter:1", WHY), case(dispatched()))
