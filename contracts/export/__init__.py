"""`python -m contracts.export [--check]`: writes what partners read, from the models: schemas, AsyncAPI, examples.

    __main__       the command
    schemas        one JSON Schema per type
    compatibility  what a change would break
    asyncapi       the AsyncAPI document
    examples       the reference scenario, told in events; other_cases, cast and story are its parts
    baseline       what was published before

Only this package of contracts/ reads and writes files; nothing that runs in a service imports it.
"""
