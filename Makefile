# What a developer types. Every target installs what it needs first; what is there is not made again.
SHELL := /bin/bash -eu -o pipefail
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Debian's interpreter by its full path: another python3 may come first on the PATH.
PYTHON := /usr/bin/python3
VENV := .venv/bin/python
ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
# What Stillgate is built from and runs with. Debian 12's own libboost-dev is older than Boost's JSON.
BOOST := $(if $(shell grep -s bookworm /etc/os-release),libboost1.81-dev,libboost-dev)
NEEDED := g++ cmake ninja-build pkg-config $(BOOST) libfmt-dev libssl-dev libssh2-1-dev pybind11-dev python3-dev \
  python3-venv python3-pip python3-wheel python3-setuptools python3-pybind11 python3-click python3-rich
# And what its developers and tests need.
APT := $(NEEDED) ccache libgtest-dev libgmock-dev python3-build python3-tomli \
  python3-pytest python3-pytest-xdist python3-jsonschema python3-pyte \
  mypy black flake8 isort clang clang-16 clang-format clang-tidy libclang-rt-14-dev gcovr \
  fabric haproxy zsh patchelf gpgv debian-archive-keyring socat man-db prometheus chromium \
  postgresql mariadb-server-core mariadb-client-core python3-psycopg2 python3-h2 openssl openssh-client openssh-server wrk \
  python3-sphinx python3-myst-parser python3-sphinx-click furo ruby ruby-dev bundler build-essential libffi-dev
BUILD = build/python-$(shell $(PYTHON) -c 'import sys; print(sys.implementation.cache_tag)')
CXX_FILES = $(shell git ls-files 'cpp/*.[ch]pp' 'tests/*.[ch]pp')
PY_FILES = setup.py python tests docs
# What one clone or build folder has compiled, another need not.
export CMAKE_CXX_COMPILER_LAUNCHER = $(if $(shell command -v ccache),ccache)
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
# A precompiled header is taken for what is in it.
export CCACHE_SLOPPINESS := pch_defines,time_macros
CMAKE = cmake -S . -G Ninja -DCMAKE_BUILD_TYPE=$(or $(CMAKE_BUILD_TYPE),RelWithDebInfo) --log-level=WARNING -DSTILLGATE_WERROR=ON \
  -DCMAKE_UNITY_BUILD=$(or $(CMAKE_UNITY_BUILD),OFF)
# Tests wait for a third of their time. On two cores: four of them at once, and three that are sanitized.
CORES := $(shell nproc 2>/dev/null || echo 2)
WORKERS := $(shell echo $$(($(CORES) < 2 ? 4 : $(CORES) * 2)))
SANITIZED_WORKERS := $(shell echo $$(($(CORES) < 2 ? 3 : $(CORES) * 3 / 2)))
# The guard's own tests with a sanitized guard, which says what it finds in files: it has no terminal.
GUARDED = rm -f build/$1/found.*; for name in ASAN UBSAN TSAN; do \
    export $${name}_OPTIONS=log_path=$(CURDIR)/build/$1/found; done; \
  STILLGATE_GUARD=$(CURDIR)/build/$1/stillgate-guard $(VENV) -m pytest -q -n $(SANITIZED_WORKERS) \
    -k 'not small' tests/integration/guard/test_guard.py; \
  ! cat build/$1/found.* 2>/dev/null
# SSH but for the files in $2, with a sanitized module in the command, and a sanitized guard.
OVER_SSH = $(VENV) tests/support/sanitized.py build/$1 -m pytest -q -n $(SANITIZED_WORKERS) tests/integration/ssh $2
# Who may log in, by what and to whom, one thread decides: nothing in it is for TSan to see.
LOGINS = $(addprefix --ignore=tests/integration/ssh/test_,$(addsuffix .py,algorithms host_keys keys revoked))
# Plans against a simulated fleet, every interleaving of them: nine tenths of the unit tests' time, and in them is no
# second thread for TSan to see. All other builds run them.
ONE_THREAD = Lock.* Of/Interleavings.* RandomCourse.*
space := $(subst ,, )
# Many sources as one: that each compiles by itself is seen by `compile`.
SANITIZED = $(CMAKE) -DCMAKE_UNITY_BUILD=ON -DSTILLGATE_TESTS=ON -DSTILLGATE_PYTHON=ON \
  -DPython_EXECUTABLE=$(CURDIR)/$(VENV)

# install PACKAGES, where there are Debian's; elsewhere CMake and pip say what is missing.
install = if command -v apt-get >/dev/null; then \
  dpkg -s $1 >/dev/null 2>&1 || { $(ROOT) apt-get update -qq && \
    $(ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1; }; \
  else echo 'This is no Debian or Ubuntu: docs/install.md has the packages that have to be there.' >&2; fi

# `setup` comes before what needs it.
.NOTPARALLEL:
.PHONY: build setup compile unit chef-gems demo playground test chaos chaos-short lint docs bench platforms release coverage \
  asan tsan fuzz clean

# What a user needs: the program in .venv.
build:
	@$(call install,$(NEEDED))
	test -x $(VENV) || $(PYTHON) -m venv --system-site-packages .venv
	test -x .venv/bin/stillgate || \
	  $(VENV) -m pip install -q --disable-pip-version-check --no-build-isolation -e .
	$(VENV) setup.py -q build_ext --inplace

setup:
	@$(call install,$(APT))

# What `setup` installs has to be there. Debian's own fab does not see what is installed in .venv.
compile:
	test -x $(VENV) || $(PYTHON) -m venv --system-site-packages .venv
	$(CMAKE) -B $(BUILD) -DSTILLGATE_PYTHON=ON -DSTILLGATE_TESTS=ON -DSTILLGATE_BENCH=ON \
	  -DPython_EXECUTABLE=$(CURDIR)/$(VENV)
	cmake --build $(BUILD)
	test -x .venv/bin/stillgate || $(VENV) -m pip install -q --no-index --no-build-isolation --no-deps -e .
	$(VENV) setup.py -q build_ext --inplace
	printf '#!%s\nfrom fabric.main import program\n\nprogram.run()\n' $(CURDIR)/$(VENV) >.venv/bin/fab
	chmod +x .venv/bin/fab

# The loop while one works: no HAProxy, no Chef, no sudo, nothing fetched.
unit: compile
	ctest --test-dir $(BUILD) --output-on-failure -j 6
	$(VENV) -m pytest -q -n 3 tests/python

# Chef is a gem: it and what tests its cookbook are installed once, into .cache/chef.
chef-gems: setup
	tests/chef/gems.sh

demo: setup compile
	$(VENV) tests/demo/demo.py

# Its standard output is for the shell's eval. What Debian 12 has itself, a resume by maxconn crashes: patchelf and
# gpgv are for Debian 13's.
playground:
	@{ $(call install,$(if $(shell PATH=$$PATH:/usr/sbin command -v haproxy),,haproxy) patchelf gpgv debian-archive-keyring); } >&2
	@$(VENV) tests/demo/playground.py

test: setup compile chef-gems
	$(VENV) tests/support/haproxy/fetch.py
	$(VENV) tests/support/fabric/fetch.py
	ctest --test-dir $(BUILD) --output-on-failure -j 6
	tests/chef/gems.sh rspec --default-path tests/chef/spec
	$(VENV) -m pytest -n $(WORKERS)
	$(VENV) tests/chaos/run.py --short --json build/chaos-short.json
	$(VENV) tests/chaos/instants.py --number 8 --json build/instants-short.json

# The fault matrix, whole and CI's tenth of it, which 'make test' runs too. Before a release: make chaos
# INSTANTS=1000 ROUNDS=20, some hours.
INSTANTS := 100
ROUNDS := 5
chaos: setup compile chef-gems
	$(VENV) tests/support/haproxy/fetch.py 2.6 3.0 sid
	$(VENV) tests/chaos/run.py --json build/chaos.json
	$(VENV) tests/chaos/instants.py --number $(INSTANTS) --json build/instants.json
	STILLGATE_ALL_COURSES=1 $(BUILD)/tests/unit/unit_tests --gtest_brief=1 --gtest_filter='RandomCourse.*'
	$(VENV) -m pytest -q -n 3 -m moment --rounds $(ROUNDS) tests/integration
	$(VENV) -m pytest -q -n 3 tests/integration/guard/test_fate.py tests/integration/guard/test_scarce.py
	STILLGATE_ALL_STEPS=1 $(VENV) -m pytest -q tests/integration/fabric/test_release_steps.py

chaos-short: setup compile chef-gems
	$(VENV) tests/support/haproxy/fetch.py 2.6 3.0 sid
	$(VENV) tests/chaos/run.py --short --json build/chaos-short.json
	$(VENV) tests/chaos/instants.py --number 8 --json build/instants-short.json

lint: setup compile docs chef-gems
	clang-format --dry-run -Werror $(CXX_FILES)
	$(VENV) tests/lint/tidy.py $(BUILD) cpp/src cpp/bindings
	$(CMAKE) -B build/clang -DCMAKE_BUILD_TYPE=None -DCMAKE_UNITY_BUILD=ON -DCMAKE_CXX_COMPILER=clang++-16 \
	  -DSTILLGATE_PYTHON=ON -DPython_EXECUTABLE=$(CURDIR)/$(VENV)
	cmake --build build/clang --target _core stillgate-guard stillgate-leash
	black --check -q $(PY_FILES)
	isort --check -q $(PY_FILES)
	flake8 --max-line-length 100 $(PY_FILES)
	$(VENV) -m mypy python tests docs
	tests/chef/gems.sh cookstyle recipes/stillgate tests/chef

# Pages in build/docs. A warning is an error, and a page that was built before would not warn again.
docs: setup compile
	$(VENV) -m sphinx -q -W --keep-going -E -b html -d build/doctrees docs build/docs

bench: setup compile
	$(VENV) tests/support/haproxy/fetch.py 2.6 3.0 sid
	$(VENV) tests/bench/bench.py

coverage: setup
	tests/unit/coverage.sh

asan: setup compile
	$(SANITIZED) -B build/asan -DSTILLGATE_SANITIZE=address,undefined
	cmake --build build/asan
	ctest --test-dir build/asan --output-on-failure -j 6
	$(call GUARDED,asan)
	$(call OVER_SSH,asan)

tsan: setup compile
	$(SANITIZED) -B build/tsan -DSTILLGATE_SANITIZE=thread
	cmake --build build/tsan
	GTEST_FILTER='-$(subst $(space),:,$(ONE_THREAD))' ctest --test-dir build/tsan --output-on-failure -j 6
	$(call GUARDED,tsan)
	$(call OVER_SSH,tsan,$(LOGINS))

# Builds and tests in chroots of newer Debians: root, and half an hour the first time.
platforms:
	tests/platforms/run.sh

# What a release consists of, into build/release, shown in clean chroots: root, the network.
release:
	tests/platforms/release.sh

fuzz: setup
	tests/fuzz/run.sh 12

clean:
	rm -rf build dist .venv .cache
