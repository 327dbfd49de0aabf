"""The fixture of the packaging tests: a network, fake apiservers, file trees with systemd, and the commands of
docs/install.md."""

import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCRATCH = "/mnt"  # A file system in memory, only in this mount namespace.
NODES = ("10.10.1.1", "10.10.1.2", "10.10.1.3")
NAME = "lb.kube-cp.com"
SERVER = ("127.0.0.1", 53)
WAIT_TIMEOUT = 30  # Seconds until a condition must hold.
QUERY_TIMEOUT = 10  # Seconds after which a query counts as lost.


def sh(command, **more):
    """Runs a command and returns its output. An error contains all of it."""
    arguments = ["bash", "-ec", command] if isinstance(command, str) else command
    result = subprocess.run(arguments, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False, **more)
    if result.returncode:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout}")
    return result.stdout


def until(message, condition):
    """Waits until the condition holds, and returns its value."""
    end = time.monotonic() + WAIT_TIMEOUT
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {WAIT_TIMEOUT} s: {message}")
        time.sleep(0.05)
    return result


def answers():
    """Returns the addresses that 127.0.0.1 answers for the name, sorted; `None` without an answer."""
    result = subprocess.run(["dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", NAME], text=True,
                          stdout=subprocess.PIPE, check=False)
    return sorted(result.stdout.split()) if result.returncode == 0 else None


def listens(address):
    with socket.socket() as client:
        return client.connect_ex((address, 6443)) == 0


class Nodes:
    """Fake apiservers, at the addresses of the examples."""

    def __init__(self):
        sh(f"mount -t tmpfs tmpfs {SCRATCH}; ip link set lo up")
        self.ca = f"{SCRATCH}/ca.crt"
        sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.crt "
           "-subj /CN=ca -addext basicConstraints=critical,CA:TRUE && "
           "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout node.key -out node.csr -subj /CN=node && "
           "printf subjectAltName=DNS:lb.kube-cp.com >names && openssl x509 -req -in node.csr -CA ca.crt -CAkey ca.key "
           "-CAcreateserial -days 2 -extfile names -out node.crt", cwd=SCRATCH)
        with open(f"{SCRATCH}/readyz", "w", encoding="ascii") as file:
            file.write("200\nok")
        self.running = {}
        for address in NODES:
            sh(["ip", "address", "add", f"{address}/32", "dev", "lo"])
            self.start(address)

    def start(self, address):
        fake = os.path.join(ROOT, "tests/e2e/apiserver.py")
        self.running[address] = subprocess.Popen(
            [sys.executable, fake, address, "6443", f"{SCRATCH}/node.crt", f"{SCRATCH}/node.key", f"{SCRATCH}/readyz"])
        until(f"{address} listens", lambda: listens(address))

    def stop(self, address):
        self.running[address].kill()
        self.running.pop(address).wait()

    def check_answers(self):
        """Waits until all nodes are answered, then without one that has ended, then with it again."""
        until("all nodes are answered", lambda: answers() == list(NODES))
        self.stop(NODES[1])
        until("the ended node is not answered", lambda: answers() == [NODES[0], NODES[2]])
        self.start(NODES[1])
        until("the node is answered again", lambda: answers() == list(NODES))


class Clients:
    """Clients that ask for the name, each one query after the other: three by UDP, one by TCP. Use it as a context manager."""

    def __init__(self, expected):
        self.expected = sorted(expected)
        self.answered = 0
        self.faults = []  # A lost query, or an answer with other addresses.
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=[ask]) for ask in (ask_by_udp, ask_by_udp, ask_by_udp, ask_by_tcp)]

    def run(self, ask):
        while not self.is_over.is_set():
            try:
                found = ask()
            except OSError as error:
                found = error
            with self.lock:
                self.answered += found == self.expected
                self.faults += [f"{ask.__name__}: {found}"] if found != self.expected else []

    def go_on(self):
        """Waits until some more queries are answered."""
        before = self.answered
        until("queries are answered", lambda: self.answered > before + 100)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def query():
    name = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split(".")) + b"\0"
    return struct.pack(">HHHHHH", random.randrange(65536), 0, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1)


def addresses(asked, response):
    """Returns the addresses of a response, sorted: the last four bytes of each record, in a response without other sections."""
    if response[:2] != asked[:2] or response[3] & 15:
        raise OSError(f"the response is {response.hex()}")
    records = response[len(asked):]
    return sorted(socket.inet_ntoa(records[at + 12:at + 16]) for at in range(0, 16 * int.from_bytes(response[6:8], "big"), 16))


def ask_by_udp():
    asked = query()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(QUERY_TIMEOUT)
        client.connect(SERVER)
        client.send(asked)
        return addresses(asked, client.recv(1232))


def ask_by_tcp():
    asked = query()
    with socket.create_connection(SERVER, QUERY_TIMEOUT) as client, client.makefile("rb") as responses:
        client.sendall(len(asked).to_bytes(2, "big") + asked)
        return addresses(asked, responses.read(int.from_bytes(responses.read(2), "big")))


def copy(tree, name):
    """Makes a copy-on-write copy of a file tree, with devices, and returns its path."""
    base = f"{SCRATCH}/{name}"
    root = f"{base}/root"
    sh(f"mkdir -p {base}/upper {base}/work {root}; mount -t overlay overlay {root} "
       f"-o lowerdir={tree},upperdir={base}/upper,workdir={base}/work; mount -t proc proc {root}/proc; "
       f"mount -t tmpfs tmpfs {root}/dev; mkdir {root}/dev/pts {root}/dev/shm; ln -s pts/ptmx {root}/dev/ptmx; "
       f"mount -t devpts -o newinstance,ptmxmode=0666 devpts {root}/dev/pts; mount -t tmpfs tmpfs {root}/dev/shm")
    for device in ("null", "zero", "full", "random", "urandom", "tty"):
        sh(f"touch {root}/dev/{device}; mount --bind /dev/{device} {root}/dev/{device}")
    return root


class Machine:
    """A copy of the Debian with systemd as its first process."""

    def __init__(self, tree, name):
        self.root = copy(tree, name)
        boot = ("mount -t sysfs sysfs {0}/sys; mount -t cgroup2 cgroup2 {0}/sys/fs/cgroup; mount -t tmpfs tmpfs {0}/run; "
                "mount -t proc proc {0}/proc; cd {0}; mkdir old; pivot_root . old; "
                "umount -l /old; rmdir /old; exec env container=lxc /lib/systemd/systemd").format(self.root)
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc", "bash", "-c", boot],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("systemd runs", lambda: os.path.exists(f"/proc/{self.first()}/root/run/systemd/private"))

    def first(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            return file.read().strip()

    def command(self, command):
        return ["nsenter", "--target", self.first(), "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd",
                "env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "HOME=/root", "bash", "-ec", f"cd /root; {command}"]

    def sh(self, command):
        return sh(self.command(command))

    def show(self, unit, name):
        """Returns a property of a unit."""
        return self.sh(f"systemctl show --property {name} --value {unit}").strip()

    def put(self, path, text):
        """Writes a file with the default mode."""
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def end(self):
        self.process.kill()
        self.process.wait()


def page(heading):
    """Returns the commands of a section of docs/install.md, each with the output that the page shows."""
    with open(os.path.join(ROOT, "docs/install.md"), encoding="utf-8") as file:
        sections = re.split(r"^##+ ", file.read(), flags=re.M)
    section = next(one for one in sections if one.startswith(heading + "\n"))
    commands = []
    for block in re.findall(r"```console\n(.*?)```", section, flags=re.S):
        for line in block.splitlines():
            if line[:2] in ("# ", "$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
    return commands


def run_section(heading, wrap):
    """Runs the commands of a section. `daymark run` stays in the background; `dig` is repeated on this system until it prints
    the output of the page."""
    for command, shown in page(heading):
        if command.startswith("daymark run"):
            subprocess.Popen(wrap(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        elif command.startswith("dig"):
            assert shown == list(NODES), f"the page shows {shown}"
            until(f"{command} shows {shown}", lambda command=command, shown=shown: sorted(
                subprocess.run(command.split(), stdout=subprocess.PIPE, text=True, check=False).stdout.split()) == shown)
        else:
            sh(wrap(command))
