"""What is measured: one row, one line of this table."""
from __future__ import annotations

from dataclasses import dataclass, field

from host import PASSWORD, USER

# How one unit of a row's work is called, and which way its figures are told. Bulk is told in GiB.
GIB = "GiB"


@dataclass
class Row:
    title: str
    unit: str
    # The task of tests/load, and its words.
    task: str
    words: dict = field(default_factory=dict)
    # Words in a quick run; None if the row is not in it.
    quick: dict | None = None
    # The certificate's kind, if the row is in TLS.
    tls: str | None = None
    local: bool = False
    # Entries of the directory that is to be listed.
    entries: int | None = None
    # At most that many turns.
    rounds: int | None = None
    # Whether all but the limits are left out: the row is a limit itself.
    limit: bool = False
    readme: list = field(default_factory=list)


def logins(title, clients, quick=None, **more):
    return Row(f"{title}, {clients}", "login", "login", {"clients": clients, "seconds": 1}, quick, **more)


def bulk(title, task, clients, each, quick=None, **more):
    return Row(f"{title}, {clients}", GIB, task, {"clients": clients, "each": each}, quick, **more)


def files(title, quick=None, secure=None, **words):
    # The time is for servers that stall on each file; the others are done before.
    words = {"clients": 4, "count": 10_000, "seconds": 5, **words}
    return Row(title, "file", "files", words, quick, tls=secure)


def listing(verb, entries, each, quick=None):
    words = {"verb": verb, "entries": entries, "each": each, "seconds": 1}
    return Row(f"{verb} of {entries:,}", "listing", "list", words, quick, entries=entries)


def idle(count, tls=None, quick=None):
    title = f"idle{' in TLS' if tls else ''}, {count:,} sessions"
    return Row(title, "login", "idle", {"count": count, "logins": 100}, quick, tls=tls, rounds=1 if count > 500 else 2)


SECOND = {"seconds": 1}
LOCAL = {"user": USER, "password": PASSWORD}


# The figures that README's table shows; with no row of its own here, a row is left out of it.
README = {
    "anonymous login, 8": ["CPU µs"],
    "anonymous login, 64": ["CPU µs"],
    "local login (PAM), 8": ["CPU µs"],
    "RETR 1 GiB, 1": ["CPU s/GiB"],
    "STOR 1 GiB, 1": ["CPU s/GiB"],
    "RETR 4 KiB, passive": ["CPU µs"],
    "RETR 4 KiB, active": ["CPU µs"],
    "STOR 4 KiB, passive": ["CPU µs"],
    "STOR 4 KiB, active": ["CPU µs"],
    "LIST of 10,000": ["CPU µs"],
    "LIST of 200,000": ["CPU µs"],
    "MLSD of 10,000": ["CPU µs"],
    "mixed day, 8": ["CPU µs", "p50 ms", "p99 ms"],
    "mixed day, 64": ["per second", "p99 ms"],
    "NOOP, 8 downloading": ["p99 ms"],
    "FTPS RETR 1 GiB, 1": ["CPU s/GiB"],
    "FTPS STOR 1 GiB, 1": ["CPU s/GiB"],
    "FTPS RETR 4 KiB": ["CPU µs"],
    "FTPS STOR 4 KiB": ["CPU µs"],
    "FTPS handshake, full": ["CPU µs"],
    "FTPS handshake, full, RSA-2048": ["CPU µs"],
    "FTPS handshake, resumed": ["CPU µs"],
    "idle, 500 sessions": ["KiB each"],
    "idle in TLS, 500 sessions": ["KiB each"],
}


def table():
    """Every row, in the order of the run."""
    found = every()
    for row in found:
        row.readme = README.get(row.title, [])
    return found


def every():
    local = [logins("local login (PAM)", clients, SECOND if clients == 8 else None, local=True) for clients in (1, 8, 64)]
    for row in local:
        row.words.update(LOCAL)
    return [
        logins("anonymous login", 1),
        logins("anonymous login", 8, SECOND),
        logins("anonymous login", 64),
        *local,
        bulk("RETR 1 GiB", "get", 1, 2, {"each": 2}),
        bulk("RETR 1 GiB", "get", 4, 1),
        bulk("STOR 1 GiB", "put", 1, 2, {"each": 2}),
        bulk("STOR 1 GiB", "put", 4, 1),
        files("RETR 4 KiB, passive", {"count": 1500}),
        files("RETR 4 KiB, active", active=1),
        files("STOR 4 KiB, passive", {"count": 1500}, up=1),
        files("STOR 4 KiB, active", up=1, active=1),
        *(listing(verb, 100, 1000, {"each": 100} if verb == "LIST" else None) for verb in ("LIST", "NLST", "MLSD")),
        *(listing(verb, 10_000, 20, {"each": 10} if verb == "LIST" else None) for verb in ("LIST", "NLST", "MLSD")),
        *(listing(verb, 200_000, 1) for verb in ("LIST", "NLST", "MLSD")),
        Row("mixed day, 8", "visit", "day", {"clients": 8, "each": 1000, "seconds": 2}, SECOND),
        Row("mixed day, 64", "visit", "day", {"clients": 64, "each": 1000, "seconds": 4}),
        Row("NOOP, 8 downloading", "NOOP", "noop", {"length": 3}, {"length": 1}),
        bulk("FTPS RETR 1 GiB", "get", 1, 1, {}, tls="ec"),
        bulk("FTPS RETR 1 GiB", "get", 4, 1, tls="ec"),
        bulk("FTPS STOR 1 GiB", "put", 1, 1, {}, tls="ec"),
        bulk("FTPS STOR 1 GiB", "put", 4, 1, tls="ec"),
        bulk("FTPS RETR 1 GiB, RSA-2048", "get", 1, 1, tls="rsa"),
        files("FTPS RETR 4 KiB", {"count": 1000, "seconds": 1}, "ec"),
        files("FTPS STOR 4 KiB", {"count": 1000, "seconds": 1}, "ec", up=1),
        files("FTPS RETR 4 KiB, TLS 1.3", None, "ec", tls=13),
        Row("FTPS handshake, full", "handshake", "handshake", {"clients": 4, "seconds": 1}, SECOND, tls="ec"),
        Row("FTPS handshake, full, RSA-2048", "handshake", "handshake", {"clients": 4, "seconds": 1}, tls="rsa"),
        files("FTPS handshake, resumed", None, "ec", name="nothing", resumed=1),
        logins("FTPS login", 8, tls="ec"),
        idle(100, quick={}),
        idle(500),
        idle(2000),
        idle(100, "ec"),
        idle(500, "ec"),
        idle(2000, "ec"),
        *(
            Row(f"rustls {what}, {via}", GIB, "record", {"via": via, "up": up}, {}, tls="ec", limit=True)
            for up, what in ((0, "encrypts"), (1, "decrypts"))
            for via in ("memory", "socket")
        ),
    ]
