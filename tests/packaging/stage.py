"""Where the files of a release are tried: a network, fake apiservers, roots to change into, and the page's commands."""

import os
import re
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCRATCH = "/mnt"  # A file system in memory, in this mount namespace alone.
NODES = ("10.10.1.1", "10.10.1.2", "10.10.1.3")
BOUND = 30  # Seconds that anything may take to come true.


def sh(command, **more):
    """Runs a command, and gives its output; a failure tells all of it."""
    told = ["bash", "-ec", command] if isinstance(command, str) else command
    done = subprocess.run(told, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False, **more)
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def until(what, condition):
    """Waits until the condition holds."""
    end = time.monotonic() + BOUND
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"this did not come true: {what}")
        time.sleep(0.05)
    return result


def answers():
    """The addresses that 127.0.0.1 answers for the name, in order of their value."""
    done = subprocess.run(["dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", "lb.kube-cp.com"], text=True,
                          stdout=subprocess.PIPE, check=False)
    return sorted(done.stdout.split()) if done.returncode == 0 else None


def listens(address):
    with socket.socket() as tried:
        return tried.connect_ex((address, 6443)) == 0


class Nodes:
    """Stand-in apiservers, at the addresses of the examples."""

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
        stand_in = os.path.join(ROOT, "tests/e2e/apiserver.py")
        self.running[address] = subprocess.Popen(
            [sys.executable, stand_in, address, "6443", f"{SCRATCH}/node.crt", f"{SCRATCH}/node.key", f"{SCRATCH}/readyz"])
        until(f"{address} listens", lambda: listens(address))

    def stop(self, address):
        self.running[address].kill()
        self.running.pop(address).wait()

    def follow(self):
        """The answer holds the healthy nodes, without one that ends, and with it again."""
        until("all nodes are answered", lambda: answers() == list(NODES))
        self.stop(NODES[1])
        until("the ended node is not answered", lambda: answers() == [NODES[0], NODES[2]])
        self.start(NODES[1])
        until("the node is answered again", lambda: answers() == list(NODES))


def copy(tree, name):
    """A copy of a file tree that costs nothing, with devices, and gives its path."""
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
        """A property of a unit."""
        return self.sh(f"systemctl show --property {name} --value {unit}").strip()

    def put(self, path, text):
        """Writes a file, with the rights of a new one."""
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def end(self):
        self.process.kill()
        self.process.wait()


def page(heading):
    """The commands of a section of docs/install.md, each with the lines that it shows."""
    with open(os.path.join(ROOT, "docs/install.md"), encoding="utf-8") as file:
        sections = re.split(r"^##+ ", file.read(), flags=re.M)
    section = next(one for one in sections if one.startswith(heading + "\n"))
    found = []
    for block in re.findall(r"```console\n(.*?)```", section, flags=re.S):
        for line in block.splitlines():
            if line[:2] in ("# ", "$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def do_as_told(heading, wrap):
    """Runs the commands of a section. One that stays runs on; dig is repeated on this system until it shows what is told."""
    for command, shown in page(heading):
        if command.startswith("daymark run"):
            subprocess.Popen(wrap(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        elif command.startswith("dig"):
            assert shown == list(NODES), f"the page shows {shown}"
            until(f"{command} shows {shown}", lambda command=command, shown=shown: sorted(
                subprocess.run(command.split(), stdout=subprocess.PIPE, text=True, check=False).stdout.split()) == shown)
        else:
            sh(wrap(command))
