"""The host that scripts/bench measures on: namespaces of its own, files in memory, a control group for the server.

Nothing of the machine is touched, and nothing outlives the bench: its processes are in a process namespace that ends with
it, its mounts in a mount namespace, and the control groups are removed by the process that made them, or by the next bench.
"""
import ctypes
import os
import signal
import subprocess
import sys
import time

USER, PASSWORD = "bench", "secret"
GUEST, NOBODY = 65533, 65534
PAM = "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n"
CERTIFICATES = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
# The server has the first half of the processors and the clients the second: on one processor the kernel charges the
# loopback's work now to one side, now to the other.
CPUS = sorted(os.sched_getaffinity(0))
HALF = len(CPUS) // 2
SERVER_CPUS = CPUS[:HALF] or CPUS
CLIENT_CPUS = CPUS[HALF:]


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text, mode=0o644):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


class Groups:
    """The control groups of the server under test, where there are any to be had: version 1 of them, or 2."""

    NAME = "vsbench-"

    def __init__(self, name):
        self.memory_file = self.cpu_file = None
        self.paths = []
        for root, memory, cpu in (
            ("/sys/fs/cgroup/memory", "memory.usage_in_bytes", None),
            ("/sys/fs/cgroup/cpuacct", None, "cpuacct.usage"),
            ("/sys/fs/cgroup", "memory.current", "cpu.stat"),
        ):
            path = f"{root}/{name}"
            if not os.path.exists(f"{path}/cgroup.procs"):
                continue
            self.paths.append(path)
            if memory and not self.memory_file and os.path.exists(f"{path}/{memory}"):
                self.memory_file = f"{path}/{memory}"
            if cpu and not self.cpu_file and os.path.exists(f"{path}/{cpu}"):
                self.cpu_file = f"{path}/{cpu}"

    @classmethod
    def make(cls):
        """Called outside of the namespaces; the name of what was made."""
        cls.remove_stale()
        name = f"{cls.NAME}{os.getpid()}"
        for root in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"):
            # The directory above may be a mere tmpfs with version 1's hierarchies in it.
            if os.path.exists(f"{root}/cgroup.procs"):
                try:
                    os.mkdir(f"{root}/{name}")
                except OSError:
                    continue
        return name

    @classmethod
    def remove(cls, name):
        for root in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"):
            for _ in range(100):
                try:
                    os.rmdir(f"{root}/{name}")
                except FileNotFoundError:
                    break
                except OSError:
                    # The last processes are still going.
                    time.sleep(0.05)
                else:
                    break

    @classmethod
    def remove_stale(cls):
        """Those of a bench that was killed."""
        for root in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"):
            for name in os.listdir(root) if os.path.isdir(root) else []:
                pid = name[len(cls.NAME):]
                if name.startswith(cls.NAME) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                    cls.remove(name)

    def join(self):
        for path in self.paths:
            with open(path + "/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))

    def population(self):
        return len(read(self.paths[0] + "/cgroup.procs").split()) if self.paths else 0

    def cpu(self):
        """Seconds so far; None if nobody counts them."""
        if not self.cpu_file:
            return None
        text = read(self.cpu_file)
        if self.cpu_file.endswith("cpu.stat"):
            return int(text.split("usage_usec")[1].split()[0]) / 1e6
        return int(text) / 1e9

    def memory(self):
        """Bytes, the kernel's included; without a control group the processes' proportional share, which lacks them."""
        if self.memory_file:
            return int(read(self.memory_file))
        total = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) == os.getpid():
                continue
            try:
                if read(f"/proc/{pid}/comm").strip() == "load":
                    continue
                total += int(read(f"/proc/{pid}/smaps_rollup").split("Pss:")[1].split()[0]) * 1024
            except (OSError, IndexError):
                continue
        return total


def unshare(arguments):
    """Run this script again in namespaces of its own, and clean up after it however it ends; its exit status."""
    name = Groups.make()
    command = ["unshare", "-m", "-n", "-p", "--propagation", "private", "--fork", "--kill-child", "--mount-proc"]
    child = None

    def stop(number, _):
        if child:
            child.send_signal(signal.SIGKILL)
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        environment = {**os.environ, "BENCH_PRIVATE": name}
        # PR_SET_PDEATHSIG: everything ends even if this process is killed outright.
        tied = lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # noqa: E731
        child = subprocess.Popen(command + [sys.executable] + arguments, env=environment, preexec_fn=tied)
        return child.wait()
    finally:
        if child and child.poll() is None:
            child.kill()
            child.wait()
        Groups.remove(name)


def fresh_network():
    """A network without the lingering connections of the last turn, which make every search for a port longer."""
    if ctypes.CDLL(None).unshare(0x40000000) != 0:
        raise RuntimeError("no network name space")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def accounts():
    """A guest and one local user, in files that lie over the machine's; whether the user has a password."""
    try:
        # The cheapest hash there is: PAM is what is measured.
        command = ["openssl", "passwd", "-1", PASSWORD]
        secret = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        secret = "!"
    users = {
        "passwd": [
            f"ftp:x:{GUEST}:{NOBODY}::/srv/ftp:/usr/sbin/nologin\n",
            f"{USER}:x:65532:{NOBODY}::/srv/home:/bin/sh\n",
        ],
        "shadow": [f"{USER}:{secret}:19000:0:99999:7:::\n"],
    }
    for name, added in users.items():
        lines = read("/etc/" + name).splitlines(keepends=True)
        lines = [line for line in lines if line.split(":")[0] not in ("ftp", USER)]
        write("/srv/" + name, "".join(lines + added), 0o644 if name == "passwd" else 0o600)
        subprocess.run(["mount", "--bind", "/srv/" + name, "/etc/" + name], check=True)
    if os.path.isdir("/etc/pam.d"):
        for service in ("vsbench", "pure-ftpd"):
            write("/srv/pam.d/" + service, PAM)
        subprocess.run(["mount", "--bind", "/srv/pam.d", "/etc/pam.d"], check=True)
    return secret != "!"


def certificates():
    """One of each kind, as /srv/tls/KIND.pem, KIND.key and, for who wants them in one file, KIND.both; whether that worked."""
    for kind, words in CERTIFICATES.items():
        place = f"/srv/tls/{kind}"
        command = ["openssl", "req", "-x509", "-newkey", *words, "-nodes", "-days", "30", "-subj", "/CN=bench"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", place + ".key", "-out", place + ".pem"]
        try:
            subprocess.run(command, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return False
        write(place + ".both", read(place + ".key") + read(place + ".pem"), 0o600)
        os.chmod(place + ".key", 0o600)
    return True


def directory(count):
    """A directory of that many empty files, made when it is first wanted."""
    path = f"/srv/ftp/d{count}"
    if not os.path.isdir(path):
        os.mkdir(path)
        for number in range(count):
            os.close(os.open(f"{path}/file-{number:06}", os.O_CREAT | os.O_WRONLY, 0o644))


def prepare(bulk):
    """Users, certificates and files; which of "local" and "tls" can be had."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=90%", "tmpfs", "/srv"], check=True)
    for place in ("ftp/up", "empty", "bin", "home", "pam.d", "tls", "run"):
        os.makedirs("/srv/" + place)
    os.chown("/srv/ftp/up", GUEST, NOBODY)
    piece = os.urandom(1 << 20)
    for name, size in (("big", bulk), ("small", 4096), ("nothing", 0)):
        with open("/srv/ftp/" + name, "wb") as file:
            for _ in range(size // len(piece)):
                file.write(piece)
            file.write(piece[: size % len(piece)])
    directory(100)
    can = set()
    if accounts():
        can.add("local")
    if certificates():
        can.add("tls")
    return can
