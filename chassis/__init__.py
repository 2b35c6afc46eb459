"""The runtime under every service; it knows streams and facts, and no service's rules.

Each layer imports only what stands below it:

    command_line.py  `python -m services.<name> [rebuild]`
    runtime.py    one process: roles, start in any order, graceful stop
    service.py    what a service is made of
    worker.py     what a worker does with records: decide, or record
    web/          HTTP: callers, roles, problem+json, paging, operations
    engine/       records, commands and deadlines -> facts: inbox, effects, parking, timers
    kafka/        records in (consumer) and out (relay)
    store/        PostgreSQL: streams, journal, views, migrations
    registry.py   the registered partners
    reference.py  the district's reference files
    retry.py clock.py ids.py settings.py telemetry.py
"""
