# Speech Emotion Recognition: `make run` tries it out, `make test` checks it.
# Both make the virtual environment .venv and install into it what is missing.

VENV := .venv
PYTHON := $(VENV)/bin/python

# One thread for each process: the processes share the cores. A file's tests stay in one process,
# so that what it trains is trained once; files of TOGETHER in tests/conftest.py share one.
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadfile

# LOCKED=1: the very versions of requirements.lock, checked by their hashes
REQUIREMENTS := requirements.$(if $(LOCKED),lock,txt)
INSTALLED := $(VENV)/installed$(if $(LOCKED),-locked)

PULSE := pulseaudio pulseaudio-utils libasound2-plugins

.PHONY: help run serve test test-slow bench results lint lock tutorial docs mic recordings clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(INSTALLED)  ## train and score on the bundled recordings, and predict one (LOCKED=1: as locked)
	$(PYTHON) emotion_recognition.py --data-dir data --corpora custom \
	    data/test-custom/v21_s6_happy.wav

serve: $(INSTALLED)  ## install what the server needs, and open its page at http://127.0.0.1:8000
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-serve.txt
	$(PYTHON) serve.py

test: $(VENV)/installed-dev  ## run the tests that are quick (some minutes)
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/installed-dev  ## run the other tests: networks, command lines, the tutorial; fuzz
	@command -v espeak-ng >/dev/null || echo "espeak-ng isn't installed: the test that makes the" \
	    "bundled recordings anew is skipped. To run it, type: $(call INSTALL_HINT,espeak-ng,espeak-ng)"
	@command -v pulseaudio >/dev/null && $(PYTHON) -c "import pyaudio" 2>/dev/null || \
	    echo "PulseAudio or PyAudio isn't installed: the tests that speak into a virtual microphone" \
	    "are skipped. To run them, type: make mic && $(call INSTALL_HINT,$(PULSE),pulseaudio)"
	@command -v chromium >/dev/null || echo "Chromium isn't installed: the tests of the page are" \
	    "skipped. To run them, type: $(call INSTALL_HINT,chromium,--cask chromium)"
	$(PYTEST) -m slow
	$(PYTHON) tests/fuzzing.py --minutes 5

bench: $(VENV)/installed-dev  ## measure speed, accuracy and endurance (many hours, best on a quiet machine)
	$(PYTHON) benchmarks/bench_features.py --hours 0.5 --growth 100,1000,10000,100000 --write
	$(PYTHON) benchmarks/bench_training.py --adaptation --write
	$(PYTHON) benchmarks/bench_training.py --adaptation --encoder whisper-base@3 --write
	$(PYTHON) benchmarks/bench_timeline.py --hours 0.5 --write
	$(PYTHON) benchmarks/bench_encoder.py --write
	$(PYTHON) benchmarks/bench_cache.py --write
	$(PYTHON) benchmarks/bench_serve.py --write
	$(PYTHON) benchmarks/bench_batch.py --clips 1000 --write
	$(PYTHON) benchmarks/bench_tables.py --write
	$(PYTHON) benchmarks/bench_grid.py --models SVC,KNeighbors --write
	$(PYTHON) benchmarks/bench_loco.py --without-encoder --write
	$(PYTHON) benchmarks/bench_loco.py --train emodb --write
	$(PYTHON) benchmarks/bench_one_mood.py --write
	$(PYTHON) benchmarks/bench_no_speech.py --write
	$(PYTHON) benchmarks/bench_accuracy.py --only emodb,ravdess,nemo,tasks,regression,numbers --write
	$(PYTHON) benchmarks/bench_accuracy.py --only networks --systems recommended,lstm --write
	$(PYTHON) benchmarks/bench_learning_curve.py --write
	$(PYTHON) benchmarks/bench_robustness.py --write
	$(PYTHON) benchmarks/bench_each_feature.py --write
	$(PYTHON) benchmarks/bench_leaks.py --write
	$(PYTHON) benchmarks/bench_versions.py --write
	$(PYTHON) benchmarks/bench_endurance.py --write
	$(PYTHON) tests/fuzzing.py --minutes 60 --seed 1
	$(MAKE) results

results: $(VENV)/installed-dev  ## write tables and pictures of the pages anew, from what bench left in results/
	$(PYTHON) benchmarks/measured.py

lint: $(VENV)/installed-dev  ## check style and formatting
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

lock: $(VENV)/installed-dev  ## write requirements.lock anew: the newest versions, with their hashes
	$(PYTHON) -m uv pip compile --quiet --upgrade --universal --python-version 3.10 \
	    --generate-hashes --no-annotate --custom-compile-command "make lock" \
	    requirements.txt --output-file requirements.lock

tutorial: $(VENV)/installed-dev  ## execute tutorial.ipynb anew, and write its outputs
	PYTHONPATH=. $(PYTHON) tests/test_tutorial.py

docs: $(VENV)/installed-dev  ## write the reference of all modules, from their docstrings
	PYTHONWARNINGS=ignore $(PYTHON) -m pdoc --docformat numpy --output-directory docs/api \
	    $(filter-out test,$(basename $(wildcard *.py)))
	@echo "Open docs/api/index.html"

mic: $(INSTALLED)  ## install what the microphone needs
	@$(call INSTALL_SYSTEM,portaudio19-dev python3-dev gcc,portaudio)
	$(PYTHON) -m pip install --quiet -r requirements-mic.txt

recordings: $(INSTALLED)  ## make the bundled synthetic recordings anew
	@$(call INSTALL_SYSTEM,espeak-ng,espeak-ng)
	$(PYTHON) data/make_custom.py

clean:  ## delete the virtual environment and all caches
	rm -rf $(VENV) cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installs a system package (Debian's name, Homebrew's name), or says what to type for it.
INSTALL_HINT = $$(if command -v brew >/dev/null; then echo brew install $(2); \
    else echo "sudo apt-get install $(1)"; fi)
INSTALL_SYSTEM = if command -v brew >/dev/null; then brew install $(2); \
    elif command -v dpkg >/dev/null && dpkg -s $(1) >/dev/null 2>&1; then :; \
    elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
        apt-get update -q && apt-get install -q -y $(1); \
    else echo "This needs a system package. Type: sudo apt-get install $(1)" \
        "(on another system: its $(2) package), then this again."; exit 1; fi

$(INSTALLED): $(REQUIREMENTS)
	@for p in $${PYTHON3:-python3} python3.13 python3.12 python3.11 python3.10; do \
	    $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && found=$$p && break; \
	done; \
	[ -n "$$found" ] || { echo "No Python 3.10 or newer here. Type:" \
	    "$(call INSTALL_HINT,python3 python3-venv,python)"; exit 1; }; \
	$$found -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
	    echo "Python's venv module is missing."; \
	    $(call INSTALL_SYSTEM,$$found-venv,python) && $$found -m venv $(VENV); }
	@echo "Installing the packages of $(REQUIREMENTS) into $(VENV) (about 2 GB, some minutes) ..."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(INSTALLED)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
