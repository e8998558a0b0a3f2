# Every target sets up all that it needs: distribution packages (as root) and a virtual environment in .venv.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard plugins/*)
# What an environment is made from: when one of these changes, it is made again.
RECIPE := pyproject.toml $(wildcard plugins/*/pyproject.toml) $(wildcard requirements/*.txt)

.PHONY: help demo test check faults faults-long chaos bench failover scale mutants sbom docs reference man dist deb rpm trial format clean

help:
	@echo "make demo    a real two-node Pacemaker cluster loses a node and fails over (as root, on this machine)"
	@echo "make test    the whole test-suite, the cluster's scenarios included (as root)"
	@echo "make check   ruff, mypy, the documentation and its spelling"
	@echo "make faults  every fault against every action and agent, ours and others (20 minutes, goes on where it stopped)"
	@echo "make faults-long  the fault tests with far more examples, kills and timeouts of ten minutes (three hours at most)"
	@echo "make chaos   troubles at random on clusters of two and three nodes, on every cloud (two hours, as root)"
	@echo "make bench   ours, Debian's agents and the floor side by side (ten minutes, as root); writes docs/benchmark.md"
	@echo "make failover  where the seconds of a failover go, ours and theirs (20 minutes, as root); writes docs/tuning.md"
	@echo "make scale   how many clusters an account's API budget carries, ours and theirs (45 minutes, as root)"
	@echo "make mutants break every safety check in turn, and see a test fail (half an hour)"
	@echo "make docs    the documentation's site, in dist/site/; make reference: the agents' references anew; make man: man pages"
	@echo "make dist    wheels of everything, in dist/; make deb, make rpm: packages of every cloud"
	@echo "make trial   a newcomer's trial on fresh machines, from the built packages (15 minutes, as root); writes docs/trial.md"
	@echo "make sbom    the bill of materials of the demo, in results/sbom.json"
	@echo "make clean   remove what make made"

demo: packages-demo $(VENV)/.demo
	$(BIN)/cloudha lab demo

test: packages-test $(VENV)/.test $(VENV)/awscli/.done check
	PATH="$(CURDIR)/$(VENV)/awscli/bin:$$PATH" $(BIN)/python -m pytest -n 3 --dist loadfile $(PYTEST_ARGS)

check: $(VENV)/.test docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

faults: packages-test $(VENV)/.test $(VENV)/awscli/.done
	PATH="$(CURDIR)/$(VENV)/awscli/bin:$$PATH" PYTHONPATH=tests/support $(BIN)/python -m campaign \
		--minutes $(or $(MINUTES),20) --results results/faults

# The tests of tests/faults with more of everything: timeouts of ten minutes, every point of a kill, long fuzzing.
faults-long: packages-test $(VENV)/.test
	CLOUDHA_FAULTS_TIMEOUTS=60,120,300,600 CLOUDHA_FAULTS_KILLS=0 CLOUDHA_FAULTS_RANDOM_KILLS=300 \
	CLOUDHA_FAULTS_ALL_KINDS=1 CLOUDHA_FAULTS_SECRETS=200 CLOUDHA_FAULTS_HISTORIES=200 CLOUDHA_FAULTS_EXAMPLES=5000 \
	CLOUDHA_FAULTS_PROCESSES=400 timeout 3h $(BIN)/python -m pytest -n 2 --dist loadfile tests/faults $(PYTEST_ARGS)

chaos: packages-test $(VENV)/.test
	$(BIN)/python tests/chaos/campaign.py $(CHAOS_ARGS)

bench: packages-test $(VENV)/.test $(VENV)/awscli/.done
	PATH="$(CURDIR)/$(VENV)/awscli/bin:$$PATH" $(BIN)/python bench/run.py $(BENCH_ARGS)

failover: packages-test $(VENV)/.test $(VENV)/awscli/.done
	PATH="$(CURDIR)/$(VENV)/awscli/bin:$$PATH" $(BIN)/python bench/failover.py $(FAILOVER_ARGS)

scale: packages-test $(VENV)/.test $(VENV)/awscli/.done
	PATH="$(CURDIR)/$(VENV)/awscli/bin:$$PATH" $(BIN)/python bench/scale.py $(SCALE_ARGS)

mutants: $(VENV)/.test
	$(BIN)/python tests/mutation/run_mutants.py

sbom: $(VENV)/.demo
	@mkdir -p results
	@scripts/make-venv $(VENV)/sbom sbom
	$(VENV)/sbom/bin/cyclonedx-py requirements requirements/demo.txt --output-reproducible -o results/sbom.json

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

packages-%:
	@scripts/prepare $*

# The demo needs the core and the simulated cloud only: no cloud's SDK.
$(VENV)/.demo: pyproject.toml plugins/sim/pyproject.toml requirements/demo.txt
	@scripts/make-venv $(VENV) demo -e . -e ./plugins/sim
	@touch $@

$(VENV)/.test: $(RECIPE)
	@scripts/make-venv $(VENV) test -e . $(foreach plugin,$(PLUGINS),-e ./$(plugin))
	@touch $@ $(VENV)/.demo

# The AWS command line, for awsvip, which ours is compared with: it wants a botocore of its own.
$(VENV)/awscli/.done:
	@scripts/make-venv $(VENV)/awscli awscli
	@touch $@

# The site that docs/ is (in dist/site/): references current, spelling, no broken link.
docs: $(VENV)/.test $(VENV)/docs/.done
	$(BIN)/python scripts/reference --check
	$(VENV)/docs/bin/codespell README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs plugins/*/README.md cloudha packaging
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict

reference: $(VENV)/.test
	$(BIN)/python scripts/reference

man: $(VENV)/.test
	$(BIN)/python scripts/manpages --check

dist: $(VENV)/.test
	$(BIN)/python scripts/dist $(DIST_ARGS)

deb rpm: dist
	$(BIN)/python scripts/package $@ $(PACKAGE_ARGS)

trial: dist
	$(BIN)/python scripts/package deb --provider sim
	$(BIN)/python scripts/trial $(TRIAL_ARGS)

$(VENV)/docs/.done: requirements/docs.txt
	@scripts/make-venv $(VENV)/docs docs
	@touch $@

clean:
	rm -rf dist $(VENV) .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
