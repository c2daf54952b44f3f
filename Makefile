# The commands of this project. Only cargo and make are needed (and what Debian's cargo brings along: a linker).
CARGO ?= cargo
BINARY := target/release/sax-controller

.PHONY: demo test chaos lint build quality bench interop deb deb-arm64 deb-armhf deb-check deb-foreign deb-reproducible gateway-test fuzz man clean

# The main job on a simulated house over real Modbus TCP, for a minute. SECONDS=600 for longer.
SECONDS ?= 60
demo: build
	$(BINARY) simulate --live --seconds $(SECONDS)

test:
	$(CARGO) test --locked

# The controller under every kind of fault; each run follows from its number. First STORM runs in virtual time, a few minutes, then
# RUNS over real sockets and terminals: 60 of those take about 15 minutes, most of it waiting. As root it fills disks as well, with
# libfaketime (a Debian package) it sets the wall clock. STORM=0 leaves the first half out.
STORM ?= 1000
RUNS ?= 60
NUMBER ?= 1
CHAOS ?= --parallel 40
chaos:
	$(CARGO) test --locked --quiet --test storm -- --runs $(STORM) --number $(NUMBER)
	$(CARGO) test --locked --quiet --test chaos -- --runs $(RUNS) --number $(NUMBER) $(CHAOS)

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet
	for file in etc/controller.toml etc/examples/*.toml; do $(CARGO) run --locked --quiet -- check --quiet $$file || exit 1; done

build:
	$(CARGO) build --release --locked

# The step tests of the Effizienzleitfaden over all delays and losses, in virtual time: the same figures on every machine. README shows them.
quality:
	$(CARGO) bench --locked --bench quality

# Figures on this machine: latency from meter to setpoint, footprint, the same with up to 100 batteries, our link beside other libraries,
# the law against its bounds, step quality in real time, the cost of a step, a serial bus, our own Modbus server under load, and
# simulated days. About twenty minutes, and some more to build them; installs libmodbus and pymodbus with apt and pip.
bench: build
	CARGO=$(CARGO) $(CARGO) bench --locked --bench latency --bench footprint --bench fleet --bench rivals --bench law --bench steps \
		--bench step --bench bus --bench server --bench days

# Other people's programs against this one: libmodbus, pymodbus, mbpoll, Prometheus. Installs what is missing with apt and pip.
interop:
	CARGO=$(CARGO) tests/interop/run

# Debian packages: target/debian/sax-controller_VERSION_ARCHITECTURE.deb. What is missing for that is installed.
deb:
	CARGO=$(CARGO) systemd/build-deb amd64

deb-arm64:
	CARGO=$(CARGO) systemd/build-deb arm64

deb-armhf:
	CARGO=$(CARGO) systemd/build-deb armhf

# What the package holds; its life in a Debian 12 of its own: install, upgrade, remove, purge; who the firewall lets in. Needs root.
deb-check: deb
	CARGO=$(CARGO) tests/package/check
	tests/package/chroot
	tests/package/firewall

# The programs of the other packages under qemu.
deb-foreign: deb deb-arm64 deb-armhf
	tests/package/foreign arm64 armhf

# Two builds in two folders give the same bytes (about ten minutes).
deb-reproducible:
	CARGO=$(CARGO) tests/package/reproducible

# The manual pages in systemd/man, made of their fixed text (*.in), README.md, the usages and the list of registers.
man:
	SAX_MAN=write $(CARGO) test --locked --test man_pages the_pages_are

# The package on a Debian 12 that is booted in a container, against a simulated site. Needs root; five minutes, and one more the first time.
gateway-test: deb
	CARGO=$(CARGO) tests/gateway/run

# Looks for inputs that break something, with libFuzzer, SECONDS_EACH=60 for each of ten targets; what is missing is installed. `make test` gives
# them what was found before. TARGETS="codec p1" for some of them, KEEP=1 to make the corpus anew.
fuzz:
	CARGO=$(CARGO) tests/fuzz/run

clean:
	$(CARGO) clean
