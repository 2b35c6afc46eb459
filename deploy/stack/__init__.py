"""The embedded stack: a real Kafka, a real PostgreSQL and the five services as processes of this machine, without a container engine.

__main__      the commands behind `make up`, `down`, `reset`, `status` and `token`
plan          what runs: names, ports, folders, the environment of each process
lifecycle     the steps of up, down and reset
supervise     supervisord's configuration and remote control
status        the table of what runs
kafka         the broker as a process; jars: where its code comes from; topics: made explicitly
postgres      the database as a process; provision: database, roles and schemas
fallback      a small stand-in broker for the demo
process       starting, recognising and ending one process; launch: its last step before exec
binaries      programs a machine may lack, installed on demand
secrets, token  generated passwords and keys; development tokens
ports         free and busy ports
"""
