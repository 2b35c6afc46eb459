"""A minute of faults on the whole system keeps every promise; so does every longer campaign (`make chaos`)."""

from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.checker import judge
from tests.chaos.faults import draw
from tests.chaos.ground import ground

SEED = 178
SECONDS = 60.0
RATE = 5.0


@pytest.mark.timeout(600)
async def test_a_minute_of_faults_keeps_every_promise(infrastructure_folder: Path, district: Path) -> None:
    faults = draw(SEED, SECONDS, disk=False, wrong_clocks=False)
    assert len({fault.kind for fault in faults}) >= 10
    folder = infrastructure_folder / "chaos"
    folder.mkdir()
    campaign = Campaign(SEED, SECONDS, RATE, faults, print, rest=240)
    async with ground(folder, district) as there:
        history = await campaign.run(there, district)
    assert judge(history) == []
    assert campaign.rested_after is not None
    assert len(history.faults) == len(faults)
    assert len(history.states["audit"]) >= SECONDS * RATE * 0.9
