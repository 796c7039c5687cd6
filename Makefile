# The two commands of the README, and their parts. Everything is installed into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
TESTS ?= tests
PROCESSES ?= 2
CV2_HINT := OpenCV cannot load its system libraries; on Debian or Ubuntu: apt-get install libgl1 libglib2.0-0

.PHONY: setup app test lint format browser train-on clean

setup: .venv/installed

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -c 'import cv2' || { echo "$(CV2_HINT)" >&2; exit 1; }
	@touch $@

.venv/installed-for-tests: .venv/installed tests/requirements.txt train/requirements.txt concat_id/serve/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

app: .venv/installed
	$(BIN)/python app.py

test: .venv/installed-for-tests browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile $(TESTS)

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell README.md app.py concat_id train tests Makefile Dockerfile
	$(BIN)/hadolint Dockerfile

format: .venv/installed-for-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A Chromium that is there; else Debian's package; else Playwright's own download.
browser: .venv/installed-for-tests
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	{ command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; } || \
	$(BIN)/python -m playwright install --with-deps chromium

# Goes on from the shipped model: renders and trains for SECONDS on DEVICE, then writes a pipeline to .train/on/pipeline.
SECONDS ?= 3600
DEVICE ?= cpu
train-on: .venv/installed
	nice -n 2 $(BIN)/python -m train.live --start assets/embedded --seconds $(SECONDS) --device $(DEVICE) --output .train/on
	$(BIN)/python -m train.export live --checkpoint .train/on --vae assets/embedded/vae --output .train/on/pipeline

clean:
	rm -rf .venv outputs
