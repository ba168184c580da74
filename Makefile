# Build, test, install and run vsftpd. `make help` lists the targets.
#
# Where things go; each may be given on the command line, for example
#     make install DESTDIR=/tmp/package PREFIX=/usr
#     make install start NAME=vsftpd-rs       beside a distribution's vsftpd
PREFIX        = /usr
SYSCONFDIR    = /etc
LOCALSTATEDIR = /var
NAME          = vsftpd
DESTDIR       =
# The port written into a new sample configuration; empty means 21, or 2121 where 21 is taken by another server.
PORT          =
# What `make run` serves.
DIR           = .
# How long `make fuzz` tries each target, and how many inputs `make properties` tries for each property.
# The environment counts, as where a continuous integration runs `make test` with FUZZ_SECONDS=0.
FUZZ_SECONDS ?= 60
CASES        ?= 20000

PROGRAM = target/release/vsftpd
MANUAL  = target/man/vsftpd.conf.5
SOURCES = Cargo.toml Cargo.lock scripts/link.rs scripts/login.ld $(shell find src -name '*.rs')
PLACES  = PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' LOCALSTATEDIR='$(LOCALSTATEDIR)' NAME='$(NAME)' DESTDIR='$(DESTDIR)' \
          PORT='$(PORT)' PROGRAM='$(PROGRAM)' MANUAL='$(MANUAL)'

.PHONY: all build manual run test fuzz properties check bench install uninstall start stop clean help
# `make -j install start` must not start before it has installed.
.NOTPARALLEL:

all: build

build: $(PROGRAM) $(MANUAL)

# cargo runs only when a source is newer than the program, so that `make && sudo make install` builds nothing as root.
$(PROGRAM): $(SOURCES)
	scripts/cargo build --release --locked
	@touch $(PROGRAM)

$(MANUAL): $(PROGRAM)
	@mkdir -p $(dir $(MANUAL))
	@$(PROGRAM) --manual conf >$(MANUAL).new && mv $(MANUAL).new $(MANUAL)

# The copy of vsftpd.conf(5) kept with the sources; `make check` compares it with the program.
manual: $(MANUAL)
	cp $(MANUAL) etc/man/vsftpd.conf.5

# As yourself, without installing anything.
run: build
	@scripts/run $(PROGRAM) '$(DIR)' $(or $(PORT),2121)

test:
	scripts/install-test-tools
	scripts/test

# Everything that reads what others wrote, and whole sessions, guided by what each input reaches.
fuzz:
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz

# The same with CASES random inputs for each property that the tests hold them to.
properties:
	PROPTEST_CASES=$(CASES) scripts/cargo test --locked --release --bin vsftpd -- any_ noise nearly never_panic options_lose \
	    only_printable as_defined both_ways pieces_do

check:
	scripts/check

# Builds what drives the servers too, and prints README's table at the end.
bench: build
	scripts/bench --readme $(PROGRAM)

install: $(PROGRAM) $(MANUAL)
	@$(PLACES) scripts/install

uninstall:
	@$(PLACES) scripts/uninstall

start:
	@$(PLACES) scripts/start

stop:
	@$(PLACES) scripts/stop

clean:
	rm -rf target

help:
	@echo 'make               build the program'
	@echo 'make install       install it: program, sample configuration, PAM, init script, systemd units, manuals'
	@echo 'make start         start it, now and at every boot, and show a first login'
	@echo 'make stop          stop it; running sessions end by themselves'
	@echo 'make uninstall     remove it; configuration and data stay'
	@echo 'make run           serve DIR=. read-only on port 2121 as yourself, nothing installed'
	@echo 'make test          run every test, installing the tools they need'
	@echo 'make fuzz          fuzz every parser and whole sessions, FUZZ_SECONDS=60 each'
	@echo 'make properties    try every parser with CASES=20000 random inputs for each property'
	@echo 'make check         what a change must pass: format, lints, tests, documentation, configurations, manual'
	@echo 'make bench         measure it side by side with the original vsftpd and, after scripts/install-peers, others'
	@echo 'Variables: PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) LOCALSTATEDIR=$(LOCALSTATEDIR) NAME=$(NAME) DESTDIR=$(DESTDIR) PORT=$(PORT)'
