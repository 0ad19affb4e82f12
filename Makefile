# `make` lists what can be done. Everything happens in .venv; nothing outside this folder is changed.

PYTHON ?= python3
OUTPUT ?= demo-output
VENV := .venv
BIN := $(VENV)/bin

# Optional, for `make demo`: a recording of your own.
RECORD ?=
LEAD ?=
FS ?=
UNIT ?=

# For `make bench`: the folder with the databases.
DATA ?=

.DEFAULT_GOAL := help
.PHONY: help demo test bench clean

help:
	@echo "make demo                 install into $(VENV) and analyse five minutes of a real recording"
	@echo "make demo RECORD=path     the same for a recording of yours; also LEAD=II FS=250 UNIT=mV"
	@echo "                          results go to OUTPUT=$(OUTPUT)"
	@echo "make test                 formatting, lint, spelling, types, and all tests with coverage"
	@echo "make bench DATA=folder    time the path from a file to token ids; the folder holds mitdb, as PhysioNet has it"
	@echo "make clean                remove $(VENV), demo-output and caches"
	@echo "PYTHON=python3.12 chooses the interpreter; 3.11 is the oldest that works."

demo: $(VENV)/installed
ifeq ($(strip $(RECORD)),)
	$(BIN)/heartbert demo --output "$(OUTPUT)"
else
	$(BIN)/heartbert analyze "$(RECORD)" --output "$(OUTPUT)" \
		$(if $(LEAD),--lead "$(LEAD)") $(if $(FS),--fs "$(FS)") $(if $(UNIT),--unit "$(UNIT)")
endif
	@echo "Open $(OUTPUT)/report.html in a browser."

# One thread each: two test processes with a thread for every core slow each other down.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell src tests docs benchmarks README.md
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --cov --cov-fail-under=95

bench: $(VENV)/installed-dev
	@test -f "$(DATA)/mitdb/100.hea" || { \
		echo "make bench needs DATA=folder with mitdb in it: 'heartbert download mitdb -o folder/mitdb'" >&2; exit 1; }
	$(BIN)/python benchmarks/speed.py "$(DATA)/mitdb" -o benchmarks/results/speed.json
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf $(VENV) demo-output .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

# A stamp says that the installation below it is complete and newer than pyproject.toml.
$(VENV)/created:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
		echo "heartbert needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/installed: $(VENV)/created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev,lora]"
	@touch $@ $(VENV)/installed
