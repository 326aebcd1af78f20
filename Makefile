# Everything here needs python3 (3.11 or newer) and make, nothing else; it installs into .venv beside this file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: sample setup test parity planner lint clean

sample: setup  ## draws the default contact sheet into outputs/
	$(BIN)/python sample.py

setup: $(VENV)/.runtime  ## makes .venv with the pinned run-time packages

test: $(VENV)/.test  ## runs the tests
	$(BIN)/python -m pytest -q -n auto --dist loadfile

parity: $(VENV)/.parity  ## compares with the PyTorch implementations
	$(BIN)/python -m pytest -q -m parity tests/parity

planner: $(VENV)/.plan  ## adds the TPU compiler and matplotlib: python -m astra_jax.plan for TPUs

lint: $(VENV)/.test  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

$(VENV)/.runtime: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	touch $@

$(VENV)/.test: $(VENV)/.runtime
	$(INSTALL) --editable '.[test]'
	touch $@

$(VENV)/.parity: $(VENV)/.test
	$(INSTALL) --editable '.[parity]'
	# Only its file with CLIP's vocabulary is read; the torchvision that it asks for does not go with every torch.
	$(INSTALL) --no-deps open_clip_torch
	touch $@

$(VENV)/.plan: $(VENV)/.runtime
	$(INSTALL) --editable '.[plan]'
	touch $@

clean:
	rm -rf $(VENV) outputs
