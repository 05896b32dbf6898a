# A thin front to meson and ninja: the commands people type.
.DEFAULT_GOAL := build
BUILD ?= build
NINJA := ninja
PYTHON := /usr/bin/python3

.PHONY: build demo check torture bench fuzz format tidy coverage install clean

$(BUILD)/build.ninja:
	packaging/install-deps build
	meson setup $(BUILD)

build: $(BUILD)/build.ninja
	packaging/install-deps build
	$(NINJA) -C $(BUILD)
	ln -sf src/cmd/fanal $(BUILD)/fanal

demo: build
	packaging/install-deps demo
	$(PYTHON) demo/demo.py $(BUILD)/fanal

check:
	packaging/install-deps build demo check
	tests/check $(BUILD)

# What check samples, in full: every power cut, every failing call, kills and full disks by the hundred.
torture: build
	packaging/install-deps demo check
	FANAL_TORTURE=full meson test -C $(BUILD) --suite torture --verbose

bench: build
	packaging/install-deps demo check bench
	$(PYTHON) bench/bench.py $(BUILD)/fanal

fuzz:
	packaging/install-deps build check
	[ -d build-fuzz ] || CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
	$(NINJA) -C build-fuzz
	tests/fuzz/run build-fuzz

# Lays out the lines that were changed and not committed yet; what lies otherwise was laid out by hand, for a reader.
format:
	packaging/install-deps develop
	git clang-format --extensions c,h

tidy: build
	packaging/install-deps develop
	git ls-files 'src/*.c' | xargs clang-tidy -p $(BUILD) --quiet

coverage:
	packaging/install-deps build check develop
	[ -d build-coverage ] || meson setup build-coverage -Db_coverage=true
	$(NINJA) -C build-coverage && meson test -C build-coverage --suite unit
	gcovr -r . build-coverage --exclude 'tests/.*' --html-details build-coverage/coverage.html --print-summary

install: build
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) build-asan build-fuzz build-coverage build-clang
