# make run      installs what is missing and starts powerd in observe mode, which changes nothing
# make check    lint, types, and the tests that start no process, with fewer examples and shorter simulations
# make test     installs what is missing and runs every check and test (as root; others skip the LAN tests)
# make test-vm  installs what is missing and tests sleep and disks on servers in QEMU (root; 20 to 30 minutes)
# make floor    runs the tests that need them with the oldest permitted versions of the dependencies
# make deb      builds the Debian package in dist/; RELEASE=bookworm or trixie, ARCH=amd64 or arm64
# make bench    prints the figures of this machine
# make households  prints what powerd and others do in a year of twelve simulated homes, in about two hours
# make clean    removes what these made; Debian packages stay

BIN := .venv/bin
# Set in many a container; each process that a test starts would then compile the package again, for 0.3 s.
unexport PYTHONDONTWRITEBYTECODE
# Processes that run tests at the same time. In make test it is one more, because many of its tests wait.
WORKERS ?= $(shell nproc)
# Servers that make test-vm boots at the same time.
VMS ?= 3
XDIST = --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder
RUN_PACKAGES := python3-venv python3-dev gcc pkg-config libsystemd-dev libudev1
TEST_PACKAGES := isc-dhcp-server dnsmasq-base kea-dhcp4-server busybox fping \
	iproute2 iputils-ping procps systemd systemd-container dbus polkitd python3-dbusmock \
	hdparm e2fsprogs xfsprogs btrfs-progs openssh-server openssl tmux cron at \
	prometheus mosquitto mosquitto-clients nginx-light caddy avahi-daemon samba zsh fish
# Tests of the code that calls a dependency, directly or in a child process.
FLOOR_TESTS := tests/ui/http tests/ui/test_page.py tests/linux/test_dbus.py tests/linux/test_udev_monitor.py \
	tests/linux/test_journald.py tests/presence/probe/test_icmp.py tests/messages tests/helper/smart \
	tests/activity/test_answer.py tests/activity/checks/test_calendar.py
# Contains axe-core 4.12, which tests/browser runs in Chromium; the rest of the package, and Playwright, is not used.
AXE := axe-playwright-python==0.1.8
DEB_PACKAGES := debhelper
# Of the package; that of this machine, if it is one of those.
RELEASE ?= $(shell . /etc/os-release && echo $$VERSION_CODENAME)
ARCH ?= $(shell dpkg --print-architecture)
# With the strip(1) for that processor.
STRIP_PACKAGES := $(addprefix binutils-,$(addsuffix -linux-gnu,$(subst amd64,x86-64,$(subst arm64,aarch64,$(ARCH)))))
VM_PACKAGES := qemu-system-x86 qemu-utils mmdebstrap e2fsprogs lintian

.NOTPARALLEL:
.PHONY: run lint check test test-vm test-arm64 deb floor bench households clean run-packages test-packages

# Root uses the service's own place, so that `powerd status` finds it; anybody else a private one.
run: .venv/ready-to-run
	@dir=/run/powerd; \
	if [ "$$(id -u)" -ne 0 ]; then dir="$${XDG_RUNTIME_DIR:-$$HOME/.cache}/powerd"; fi; \
	mkdir -p -m 755 "$$dir" && exec $(BIN)/powerd run --observe --socket "$$dir/powerd.sock"

lint: .venv/ready-to-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy powerd tests

check: lint
	$(BIN)/pytest $(XDIST) --hypothesis-profile=quick -m "not process and not lan and not long"

# tests/conftest.py groups and orders the tests for the workers.
test: WORKERS := $(shell expr $(WORKERS) + 1)
test: lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(XDIST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The image is kept in ~/.cache/powerd-vm (POWERD_VM_CACHE); the first run makes it, which takes a minute more.
# Each of the VMS servers runs the tests of whole files.
test-vm: .venv/ready-to-test
	@.ci/packages $(VM_PACKAGES) $(DEB_PACKAGES)
	POWERD_VM_RELEASE=$(RELEASE) $(BIN)/pytest --numprocesses=$(VMS) --dist=loadfile --no-loadscope-reorder tests/vm

# The package for arm64 on a Debian for arm64, of which qemu-user executes the programs.
test-arm64: .venv/ready-to-test
	@.ci/packages mmdebstrap qemu-user-static binfmt-support binutils-aarch64-linux-gnu $(DEB_PACKAGES)
	@mountpoint --quiet /proc/sys/fs/binfmt_misc || mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
	@update-binfmts --enable qemu-aarch64
	POWERD_ARM64=1 $(BIN)/pytest tests/vm/test_package_arm64.py

deb: .venv/bin/pip
	@.ci/packages $(DEB_PACKAGES) $(STRIP_PACKAGES)
	@contrib/debian/build $(RELEASE) $(ARCH)

floor: .venv-floor/ready
	.venv-floor/bin/pytest $(XDIST) --hypothesis-profile=quick $(FLOOR_TESTS)

bench: .venv/ready-to-test
	@missed=0; for bench in tests/benchmarks/bench_*.py; do \
		echo; echo "== $$bench"; PYTHONPATH=tests $(BIN)/python "$$bench" || missed=1; \
	done; exit $$missed

households: .venv/ready-to-test
	$(BIN)/python -m powerd.simulation.comparison --jobs $(WORKERS) --details

clean:
	rm -rf .venv .venv-floor build dist *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find powerd tests -name __pycache__ -prune -exec rm -rf {} +

run-packages:
	@.ci/packages $(RUN_PACKAGES)

test-packages:
	@.ci/packages $(RUN_PACKAGES) $(TEST_PACKAGES)

# The stamps say what .venv holds; they age with pyproject.toml, which names the dependencies.
.venv/ready-to-run: pyproject.toml | .venv/bin/pip
	@echo "Installing powerd and its Python dependencies into .venv"
	@$(BIN)/pip --quiet --disable-pip-version-check install --use-pep517 --editable '.[systemd]'
	@touch $@

.venv/ready-to-test: pyproject.toml | .venv/bin/pip test-packages
	@echo "Installing powerd and its development tools into .venv"
	@$(BIN)/pip --quiet --disable-pip-version-check install --use-pep517 --editable '.[systemd,dev]'
	@$(BIN)/pip --quiet --disable-pip-version-check install --no-deps $(AXE)
	@touch .venv/ready-to-run $@

.venv-floor/ready: pyproject.toml .ci/floor | .venv/bin/pip test-packages
	@echo "Installing the oldest permitted versions of the Python dependencies into .venv-floor"
	@python3 -m venv --clear .venv-floor
	@.ci/floor >.venv-floor/constraints.txt
	@.venv-floor/bin/pip --quiet --disable-pip-version-check install --use-pep517 \
		--constraint .venv-floor/constraints.txt --editable '.[systemd,notify,calendar]' hypothesis 'pytest<9.2' pytest-xdist
	@touch $@

.venv/bin/pip: | run-packages
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "powerd needs Python 3.11 or newer, and this is $$(python3 --version)" >&2; exit 1; }
	@python3 -m venv --clear .venv
