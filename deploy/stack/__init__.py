"""The embedded stack: a real Kafka, a real PostgreSQL and the five services as processes, without a container engine.

__main__      the commands behind `make up`, `down`, `reset`, `status` and `token`
plan          what runs: names, ports, folders, what the user's environment changes
lifecycle     the steps of up, down and reset
readiness     waiting until everything answers, and saying why it doesn't
status        the table of what runs
supervise     supervisord's configuration and remote control
kafka         the broker as a process; jars: where its code comes from; topics: made explicitly
postgres      the database as a process; provision: database, roles and schemas
fallback      a small stand-in broker, for the demo only
process       specifying, running and ending one process; launch: its last step before exec; identity: who it is
binaries      programs a machine may lack, installed on demand
secrets       generated passwords and keys; token: development tokens
ports         free and busy ports
problem       what stops the set-up
"""
