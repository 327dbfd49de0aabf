"""The processes on the machines: an apiserver on each node, Daymark on each host, and the files that they need."""

import base64
import collections
import datetime
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

from . import network

NAME = "lb.kube-cp.com"
ADMIN = ("127.0.0.1", 9353)
HERE = os.path.dirname(os.path.abspath(__file__))
APISERVER = os.path.join(HERE, "../../e2e/apiserver.py")
OK = "200\nok"
# The response of an apiserver to `/readyz`, by its condition.
READYZ = {
    "ok": OK,
    "shutdown": "500\n[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n",
    "no-etcd": "500\n[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n",
}
EXTENSIONS = f"subjectAltName=DNS:{NAME},DNS:kubernetes\nbasicConstraints=critical,CA:FALSE\n"


# A short drift interval, and a timeout that outlasts a stalled call.
CLOUDFLARE_PROVIDER = f"""\
  - {{type: cloudflare, mode: records, zone: kube-cp.com, tokenFile: cloudflare.token, driftInterval: 10s, timeout: 1m,
     callShare: 100, api: "http://{network.CLOUDFLARE}:{network.CLOUDFLARE_PORT}/client/v4"}}
"""


def make_certificates(directory):
    """Makes a CA and a server certificate, both two days old, so that they are valid on a clock that is behind."""
    def openssl(*arguments):
        network.run("faketime", "-f", "-2d", "openssl", *arguments)

    def path(name):
        return os.path.join(directory, name)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", path("ca.key"), "-out", path("ca.crt"), "-subj", "/CN=kubernetes")
    openssl("req", *new_key, "-keyout", path("server.key"), "-out", path("server.csr"), "-subj", "/CN=kube-apiserver")
    write(path("extensions"), EXTENSIONS)
    openssl("x509", "-req", "-in", path("server.csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key"),
            "-CAcreateserial", "-extfile", path("extensions"), "-out", path("server.crt"))


def write(path, text):
    """Writes a file that only its owner can read. It is replaced at once, so that no reader sees half of it."""
    with open(path + ".new", "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    os.replace(path + ".new", path)


class Machine:
    """A process on a machine, which can be started, paused and ended."""

    def __init__(self, name, directory):
        self.name = name
        self.address = network.MACHINES[name]
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory)
        self.process = None

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self):
        """Starts the process if it has ended, and resumes it if it is paused."""
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            return
        command = ["nsenter", f"--net={network.namespace(self.name)}", "--", *self.command()]
        with open(self.path("log"), "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.environment())

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, number):
        self.signal(number)
        self.process.wait(30)

    def environment(self):
        return {}


class Node(Machine):
    def __init__(self, name, directory, certificates):
        super().__init__(name, directory)
        self._certificates = certificates
        self.report("ok")

    def listens(self):
        with socket.socket() as client:
            return client.connect_ex((self.address, network.NODE_PORT)) == 0

    def report(self, condition):
        write(self.path("readyz"), READYZ[condition])

    def command(self):
        certificate, key = (os.path.join(self._certificates, f"server.{kind}") for kind in ("crt", "key"))
        return ["python3", APISERVER, self.address, str(network.NODE_PORT), certificate, key, self.path("readyz")]


class Host(Machine):
    def __init__(self, name, directory, certificates, binary, has_clock, by_name, token):
        super().__init__(name, directory)
        self._binary = binary
        self._preloaded = clock_library() if has_clock else None
        self.set_clock(0)
        text = configuration(name, os.path.join(certificates, "ca.crt"), by_name)
        if token:
            write(self.path("cloudflare.token"), token)
            text += CLOUDFLARE_PROVIDER
        write(self.path("daymark.yaml"), text)

    def command(self):
        return [self._binary, "run", "-c", self.path("daymark.yaml")]

    def environment(self):
        if not self._preloaded:
            return {}
        return {"LD_PRELOAD": self._preloaded, "FAKETIME_TIMESTAMP_FILE": self.path("clock"), "NO_FAKE_STAT": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1"}

    def set_clock(self, seconds):
        """Sets the wall clock of the host this many seconds ahead of the true time, while it runs."""
        write(self.path("clock"), f"{seconds:+d}\n")

    def get(self, path):
        """Returns status and body of a response of the admin API; `None` if there is none."""
        try:
            with network.inside(self.name):
                stream = socket.create_connection(ADMIN, timeout=5)
            connection = http.client.HTTPConnection(*ADMIN)
            connection.sock = stream
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return None

    def status(self):
        """Returns the status of the host, or an empty dictionary if it does not respond."""
        response = self.get("/api/v1/status")
        return json.loads(response[1]) if response and response[0] == 200 else {}

    def clock(self):
        """Returns the time of the host's clock, in seconds since 1970."""
        now = self.status().get("now", "1970-01-01T00:00:00Z")
        return datetime.datetime.fromisoformat(now[:19] + "+00:00").timestamp()

    def counter(self, metric):
        """Returns the sum of a counter over all its labels."""
        _, text = self.get("/metrics") or (0, "")
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"daymark_{metric}_total"))

    def probes(self):
        """Returns the number of probes by outcome."""
        _, text = self.get("/metrics")
        counts = collections.Counter()
        for outcome, count in re.findall(r'^daymark_probes_total\{.*outcome="(.*?)".*\} (\d+)', text, re.MULTILINE):
            counts[outcome] += int(count)
        return counts

    def events(self):
        """Returns the kept history, as the admin API gives it."""
        return json.loads(self.get("/api/v1/events")[1])

    def command_line(self, *arguments):
        """Runs a command of Daymark on this host; returns its exit code and its output."""
        command = ["nsenter", f"--net={network.namespace(self.name)}", "--", self._binary, *arguments]
        environment = os.environ | {"DAYMARK_TOKEN_FILE": self.path("state/admin.token")}
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        return done.returncode, done.stdout

    def log(self):
        with open(self.path("log"), encoding="utf-8") as file:
            return file.read()


class Cloudflare(Machine):
    """The fake of Cloudflare's API, with one zone. It reads commands, one a line, and prints JSON."""

    def __init__(self, directory, binary):
        super().__init__("cloudflare", directory)
        self._binary = os.path.join(os.path.dirname(binary), "daymark-fake-cloudflare")
        command = ["nsenter", f"--net={network.namespace(self.name)}", "--", self._binary, "--bare",
                   "--listen", f"{self.address}:{network.CLOUDFLARE_PORT}"]
        with open(self.path("log"), "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log)
        printed = dict(self.process.stdout.readline().split(maxsplit=1) for _ in range(3))
        self.token = printed["token"].strip()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def nodes(self):
        """Returns the nodes whose addresses the name has at Cloudflare."""
        name_of_node = {address: name for name, address in network.NODES.items()}
        return {name_of_node[record["content"]] for record in self.ask("records")}

    def has_pending_call(self):
        """Returns whether a call waits for its response."""
        return any(call["status"] is None for call in self.ask("calls"))

    def writes(self):
        """Returns the number of calls that have changed anything."""
        return sum(call["method"] != "GET" and call["status"] == 200 for call in self.ask("calls"))


def clock_library():
    return network.run("faketime", "-m", "-f", "+0", "printenv", "LD_PRELOAD").strip()


def new_key():
    return base64.b64encode(os.urandom(32)).decode()


def configuration(own, ca, by_name):
    """Returns the configuration of a host. It listens on all addresses, because its address may change."""
    nodes = "".join(f"      - {{name: {name}, addresses: [{at}]}}\n" for name, at in network.NODES.items())
    members = "".join(f"    - {{name: {name}, address: \"{name_of(name) if by_name else at}:{network.GOSSIP_PORT}\"}}\n"
                      for name, at in network.HOSTS.items())
    return (f"pools:\n  - name: {NAME}\n    port: {network.NODE_PORT}\n    nodes:\n{nodes}    probe: {{ca: {ca}}}\n"
            f"peers:\n  self: {own}\n  listen: \"0.0.0.0:{network.GOSSIP_PORT}\"\n  keyFile: gossip.key\n"
            f"  members:\n{members}"
            f"admin: {{listen: \"{ADMIN[0]}:{ADMIN[1]}\"}}\nstateDir: state\n"
            f"providers:\n  - type: authoritative\n    listen: [\"0.0.0.0:53\"]\n"
            f"    nameservers: [{{name: ns1.example.net}}]\n")


def name_of(host):
    return f"{host}.example.net"


class HostNames:
    """The names of the hosts, in a file that replaces `/etc/hosts` on every machine."""

    def __init__(self, directory):
        self._addresses = dict(network.HOSTS)
        self._path = os.path.join(directory, "hosts")
        self.update([])
        network.run("mount", "--bind", self._path, "/etc/hosts")

    def update(self, hosts):
        """Lets the names of these hosts resolve to their present addresses."""
        self._addresses |= {host: network.HOSTS[host] for host in hosts}
        with open(self._path, "w", encoding="ascii") as file:  # Not replaced, because it is mounted.
            file.write("".join(f"{address} {name_of(host)}\n" for host, address in self._addresses.items()))
