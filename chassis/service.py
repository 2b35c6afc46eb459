"""What a service is made of; its `service.py` fills one of these in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.engine.model import Model
from chassis.store.migrations import EVERY, STORE, Migration, read
from chassis.web.application import Routes
from chassis.web.requests import Process
from chassis.worker import Recorder
from contracts.reading import Knows

Task = Callable[[Process], Awaitable[None]]
"""What else a worker runs for as long as it lives."""


@dataclass(frozen=True)
class Service:
    """A service, ready to be run by chassis.runtime.

    `model` says how it decides, or that it only records. `reference` is what its routes know of the district, which the
    dependency `reference_of` gives them; `knows` is what the rule of reading takes from the service. `has` says whether
    it knows of a case in that state; a service that decides nothing has none.
    """

    model: Model | Recorder
    routes: Routes
    migrations: Sequence[Migration]
    knows: Knows
    has: Callable[[Any], bool] | None
    reference: Any = None
    tasks: Sequence[Task] = ()

    @property
    def name(self) -> str:
        """Folder, schema, database role, consumer group and OpenTelemetry service name."""
        return self.model.name

    @property
    def topics(self) -> Sequence[str]:
        """The topics it reads; `from.*` and `to.*` stand for those of all partners."""
        return self.model.topics


def migrations(name: str, module: str, *, decides: bool = True) -> tuple[Migration, ...]:
    """The migrations of a service whose module file is `module`: those of every service, the event store's, if it
    decides, then its own.
    """
    store = read("store", STORE) if decides else []
    return (*read("every", EVERY), *store, *read(name, Path(module).with_name("schema")))
