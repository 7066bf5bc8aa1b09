# The two commands to know: `make demo` and `make test`. Both set up all they need, from a fresh clone on.
#
#   make demo        JupyterLab on the first notebook; HEADLESS=1 runs it instead and writes graph.png
#   make test        every check: lint, types, floors, unit, front end, browser, notebook and wheel tests
#   make lint        the checks that run nothing
#   make bench       measurements, as ratios against a reference in the same run
#   make artifacts   train the embedded model and its transcoder again
#   make notebooks   run all notebooks again, keep their outputs, and take pictures of the pages they export
#
# The checks run with the version of PyTorch named here; `make TORCH=torch` takes the newest.

TORCH ?= torch==2.13.0
NOTEBOOK := notebooks/01_trace_a_prompt.ipynb
BENCHMARKS := $(filter-out %_worker.py,$(wildcard tests/benchmarks/*.py))
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# Prints the notebook's own URL, and asks nobody on the network for news.
LAB := --no-browser --log-level=WARN --LabApp.default_url=/lab/tree/$(NOTEBOOK) --LabApp.news_url=None \
	--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate \
	$(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: demo test lint bench artifacts notebooks setup front-end browser
.DEFAULT_GOAL := test

demo: setup front-end $(if $(HEADLESS),browser)
ifdef HEADLESS
	@$(PY) notebooks/run.py $(NOTEBOOK) --picture graph.png
else
	@$(VENV)/bin/jupyter lab $(LAB)
endif

test: setup front-end browser
	@$(PY) tests/checks.py

lint: setup
	@$(PY) tests/checks.py --lint

bench: setup front-end browser
	@for script in $(BENCHMARKS); do echo "== $$script"; $(PY) $$script || exit 1; done

artifacts: setup
	@$(PY) -m ct_widgets.demo.make_artifacts

notebooks: setup front-end browser
	@$(PY) notebooks/run.py --save --picture notebooks/images

setup: $(READY)

$(READY): pyproject.toml
	@sh tests/setup.sh $(VENV) "$(TORCH)"
	@touch $@

front-end: setup
	@$(PY) hatch_build.py

browser:
	@sh tests/browser.sh
