"""What each value of an enumeration means, for the documents of all services that show it.

A value is explained here once. The OpenAPI document of a service puts these words behind the description of every field
and parameter that takes the values and names none of them itself.
"""

from collections.abc import Collection, Mapping

STATUSES: Mapping[str, str] = {
    "reported": "the report is in",
    "verifying": "a grid member is to look at the place before the case is filed",
    "filed": "it is a case, and no unit has the lead's work at the moment",
    "dispatched": "the lead's unit has the assignment and has not acknowledged it",
    "acknowledged": "the lead's unit has acknowledged it",
    "en_route": "the lead's unit is on its way",
    "on_scene": "the lead's unit is there",
    "suspended": "the clock stands still, by a decision of the centre",
    "fixed": "the lead's work is done",
    "checking": "all work is done and waits for its check",
    "rework": "a check failed, and the work has not been given out again yet",
    "closed": "the verdict is final, and its outcome says how the case ended",
    "rejected": "it was ruled to be no case",
    "merged": "it was ruled to be the matter of another case",
    "withdrawn": "it was withdrawn, and no work goes on",
}
"""Of a case."""
WORDS: tuple[Mapping[str, str], ...] = (
    STATUSES,
    {
        "dispatched": "the unit has it and has not acknowledged it",
        "acknowledged": "it has acknowledged it",
        "en_route": "it is on its way",
        "on_scene": "it is there",
    },
    {
        "fixed": "the work is done",
        "returned": "the unit gave it back, because it is not its to do",
        "cancelled": "a ruling or a verdict ended it",
    },
    {
        "dispatched": "the unit has it and has not acknowledged it",
        "acknowledged": "it has acknowledged it",
        "en_route": "it is on its way",
        "on_scene": "it is there",
        "fixed": "it ended, the work is done",
        "returned": "it ended, the unit gave it back",
        "cancelled": "it ended by a ruling or a verdict",
    },
    {
        "closed": "the case is over",
        "rework": "work failed at its check and is given out again",
    },
    {
        "fixed": "the work was found done",
        "not_reproducible": "nothing was to be seen at the place",
        "not_ours": "others are responsible, or the report does not say enough",
        "duplicate": "it was merged into another case",
        "withdrawn": "its reporter withdrew it",
        "forced": "the shift leader closed it, because no check could",
    },
    {
        "handset": "by a grid member",
        "citizen": "by a person with a login, or on their behalf",
        "hotline": "by telephone",
        "open311": "by an Open311 client",
        "sensor": "by a device",
        "partner": "by a partner's system",
    },
    {
        "first": "the case was filed",
        "returned": "work was returned",
        "rework": "work failed at its check",
        "manual": "a person ruled so",
    },
    {
        "photo": "by photos",
        "location": "at the place",
        "call_back": "by a call to the reporter",
        "rule": "by a rule, without a person",
    },
    {
        "not_reproducible": "nothing was to be seen at the place",
        "not_ours": "others are responsible",
        "incomplete": "the report does not say enough",
    },
    {
        "component": "public facilities, such as covers, lights and hydrants",
        "event": "something that happens in a public place",
        "dispute": "a quarrel that a mediator settles",
        "service": "help that is asked for",
    },
    {
        "grid": "the members of a first-level grid",
        "community": "a community station",
        "street": "a street's service centre",
        "district": "the district's supervision centre",
        "department": "a department of the district",
        "partner": "an organisation with a system of its own",
        "mediator": "somebody who settles disputes",
    },
    {
        "district": "the whole",
        "street": "a street of the district",
        "community": "a community of a street",
        "grid": "a first-level grid of a community",
        "subgrid": "a second-level grid, within a grid",
    },
    {
        "continuous": "it always runs",
        "working_hours": "it runs in working hours",
        "working_days": "it counts working days",
        "calendar_days": "it counts all days",
    },
)
"""Of each enumeration: its values in their order, and the meaning of each."""
_BY_VALUES = {frozenset(words): words for words in WORDS}


def explained(values: Collection[str], *, shown: Collection[str] | None = None) -> str | None:
    """The values of an enumeration with their meanings, as one sentence; None of one that is not explained here.

    Of the statuses of a case only those that are `shown`, if that is given.
    """
    words = _BY_VALUES.get(frozenset(values))
    if words is None:
        return None
    some = words if shown is None or words is not STATUSES else {value: words[value] for value in shown}
    return "; ".join(f"`{value}`: {meaning}" for value, meaning in some.items()) + "."
