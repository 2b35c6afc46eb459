# Bare `make` prints this manual: a target's line is the text behind its two hashes.
.SUFFIXES:
.DEFAULT_GOAL := help

MADE  := .venv/.made-from-lock
PY    := .venv/bin/python
STACK := $(PY) -m deploy.stack
export PYTHONUNBUFFERED := 1

FORMAT  ?= nyc311

# Processes of `make test`, each with servers of its own; servers that were given are not shared.
WORKERS ?= $(if $(KAFKA_BOOTSTRAP_SERVERS)$(DATABASE_URL),0,2)
ROUNDS  ?= 20

# A mistyped goal or variable ends here, before anything is done: a variable must be named somewhere in this file.
NAMED  := $(shell grep -ow '[A-Z][A-Z_]*' Makefile) PYTHON CASEGRID_% OTEL_%
GIVEN  := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
WRONG  := $(filter-out $(NAMED),$(GIVEN)) $(filter-out $(MADE) $(shell sed -n 's/^\([a-z]*\):.*/\1/p' Makefile),$(MAKECMDGOALS))
$(if $(strip $(WRONG)),$(error $(strip $(WRONG)): no such target or variable; `make` alone names the targets and what each takes))

help: ## this manual
	@echo 'Casegrid. Each target makes what it needs first: environment, jars, database, reference district.'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s%s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'Ports: INTAKE_PORT 8001, TRIAGE_PORT 8002, DISPATCH_PORT 8003, FEEDBACK_PORT 8004, AUDIT_PORT 8005, KAFKA_PORT 19092,'
	@echo 'KAFKA_CONTROLLER_PORT 19093, POSTGRES_PORT 15432. KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL: use these servers instead,'
	@echo 'with KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD_FILE, KAFKA_SSL_CA_FILE.'

up: $(MADE) ## start what does not run of all, or of ONLY=kafka,postgres; wait until ready, print the URLs; stops nothing
	@$(STACK) up $(if $(ONLY),--only="$$ONLY")

down: $(MADE) ## stop everything, keep data
	@$(STACK) down

reset: $(MADE) ## stop everything, drop data, secrets and logs; keep partners, figures (.data/bench) and what was downloaded
	@$(STACK) reset

rotate: $(MADE) ## new passwords on the broker for its administrator and the services: stop everything, start again what ran
	@$(STACK) rotate

status: $(MADE) ## what runs, and why something does not (JSON=1, ONLY=kafka,intake); fails unless all that was started is ready
	@$(STACK) status $(if $(filter-out 0,$(JSON)),--json) $(if $(ONLY),--only="$$ONLY")

rebuild: $(MADE) ## make the derived tables of SERVICE=dispatch anew from its stored events; writers wait meanwhile
	@test -n '$(SERVICE)' || { echo 'make rebuild SERVICE=intake (or triage, dispatch, feedback, audit)' >&2; exit 2; }
	@$(STACK) rebuild '$(SERVICE)'

skip: $(MADE) ## have SERVICE=triage step over what TOPIC=ReportFiled PARTITION=0 OFFSET=17 stands at, for a REASON='...'; its bytes are kept
	@test -n "$$SERVICE" -a -n "$$TOPIC" -a -n "$$PARTITION" -a -n "$$OFFSET" -a -n "$$REASON" || { \
		echo "make skip SERVICE=triage TOPIC=ReportFiled PARTITION=0 OFFSET=17 REASON='seen in audit' [BY=name]" >&2; exit 2; }
	@$(STACK) skip --reason="$$REASON" --by="$${BY:-$$(id -un)}" -- "$$SERVICE" "$$TOPIC" "$$PARTITION" "$$OFFSET"

demo: up ## the reference scenario, from the first report of a burst main to the audited, closed case
	@$(PY) -m deploy.demo

replay: up ## real city reports through the whole system: FILE=reports.csv FORMAT=nyc311|messages, ENCODING=gb18030 where it is not found
	@test -n '$(FILE)' || { echo 'make replay FILE=reports.csv FORMAT=nyc311 (or FORMAT=messages)' >&2; exit 2; }
	@$(PY) -m deploy.replay --file '$(FILE)' --format '$(FORMAT)' $(if $(ENCODING),--encoding '$(ENCODING)')

test: $(MADE) ## every test, against a real Kafka and a real PostgreSQL (ARGS='-k relay -x'), WORKERS=2 at once, 0: in one process
	@$(PY) -m pytest --numprocesses='$(WORKERS)' --dist=loadfile --no-loadscope-reorder $(ARGS)

laws: $(MADE) ## a long random search for counterexamples of the laws, ROUNDS=20 times what a test run tries, each with a seed of its own
	@for round in $$(seq '$(ROUNDS)'); do \
		seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); echo "round $$round of $(ROUNDS): --hypothesis-seed=$$seed"; \
		$(PY) -m pytest -q -m hypothesis --hypothesis-seed="$$seed" tests/domain tests/contracts || exit 1; \
	done

check: $(MADE) ## format, lint, types, import rules, contracts, container files, licences of dependencies; changes nothing
	@.venv/bin/ruff format --check --quiet . || { echo 'not formatted as ruff does: make fix' >&2; exit 1; }
	@.venv/bin/ruff check --quiet .
	@$(PY) -m basedpyright
	@.venv/bin/lint-imports
	@$(PY) -m contracts.export --check
	@$(PY) -m deploy.lint
	@$(PY) -m deploy.dependencies

fix: $(MADE) ## rewrite what `make check` finds and a program can mend
	@.venv/bin/ruff format --quiet .
	@.venv/bin/ruff check --fix --quiet .
	@$(PY) -m contracts.export

mutants: $(MADE) ## strength of the tests: change the rules in one place at a time, show what no test notices (SEED=1 COUNT=560 FILES= ONE=)
	@$(PY) -m deploy.mutants $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) $(if $(FILES),--files $(FILES)) $(if $(ONE),--one '$(ONE)')

chaos: $(MADE) ## faults on a system of its own, drawn from a seed, and a judgement of what was recorded (SEED=1 MINUTES=5 RATE=10 reports a second)
	@$(PY) -m tests.chaos $(if $(SEED),--seed '$(SEED)') $(if $(MINUTES),--minutes '$(MINUTES)') $(if $(RATE),--rate '$(RATE)')

bench: up ## what a case costs beside bare work (FULL=1: also protection, peers, a profile, a spike; SIZES=100000: generated history; KEEP=1: add to bench/history.jsonl)
	@$(PY) -m deploy.bench $(if $(filter-out 0,$(FULL)),--full) $(if $(SIZES),--sizes '$(SIZES)') $(if $(filter-out 0,$(KEEP)),--keep)

token: $(MADE) ## print a development token: ROLE=dispatcher SUBJECT=... UNIT=... AREAS=CH/shengdeng,...; no ROLE: names all
	@$(STACK) token $(if $(ROLE),--role="$$ROLE") $(if $(SUBJECT),--subject="$$SUBJECT") $(if $(UNIT),--unit="$$UNIT") \
		$(if $(AREAS),--areas="$$AREAS")

partner: $(MADE) ## register a partner, or change it: NAME=water UNITS=dept:water SAYS=reports,steps (REMOVE=1, ROTATE=1)
	@test -n "$$NAME" || { echo 'make partner NAME=water UNITS=dept:water SAYS=reports,steps [TITLE=...] [RETROSPECTIVE=1] [ROTATE=1]' >&2; \
		echo 'make partner NAME=water REMOVE=1' >&2; exit 2; }
	@$(PY) -m deploy.partners $(if $(filter-out 0,$(REMOVE)),remove,add $(if $(filter undefined,$(origin UNITS)),,--units="$$UNITS") \
		$(if $(SAYS),--says="$$SAYS") --title="$$TITLE" $(if $(filter 0,$(RETROSPECTIVE)),--no-retrospective) \
		$(if $(filter-out 0,$(RETROSPECTIVE)),--retrospective) $(if $(filter-out 0,$(ROTATE)),--rotate)) -- "$$NAME"

partners: $(MADE) ## who is registered as a partner, for which units, and what they may say
	@$(PY) -m deploy.partners list

lock: $(MADE) ## resolve all pinned versions anew: Python packages, jars, binaries
	@deploy/stack/lock.sh

$(MADE): requirements.lock deploy/stack/environment.sh
	@deploy/stack/environment.sh
	@touch $@

.PHONY: help up down reset rotate status rebuild skip demo replay test laws check fix mutants chaos bench token partner partners lock
