"""The parts that the measurements share: programs, ports, fakes, dnsperf, a query, and readings of the kernel."""

import contextlib
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
POOL = "lb.kube-cp.com"
ADDRESSES = ["127.0.0.11", "127.0.0.12", "127.0.0.13"]
NODES = [f"kube-cp-{number}" for number in (1, 2, 3)]
TICKS = os.sysconf("SC_CLK_TCK")


def install(programs):
    """Installs the packages of Debian that have the programs: program to package."""
    os.environ["PATH"] += ":/usr/sbin"
    missing = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if missing:
        subprocess.run(["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-yq", "--no-install-recommends", *missing], check=True, env=environment, stdout=subprocess.DEVNULL)


def build_daymark(given):
    """The path of the program that is measured: the given one, or one that is built now."""
    built = given or subprocess.run([ROOT / "packaging/binary", "--dynamic"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return os.path.abspath(built)


def own_address():
    """The address of this machine towards others; what is sent to it stays on the machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 53))
        except OSError:
            raise SystemExit("this machine has no route for IPv4; one is needed, for an address other than loopback") from None
        return sock.getsockname()[0]


def free_port(host="127.0.0.1"):
    """A port that is free by UDP and by TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            with contextlib.suppress(OSError):
                udp.bind((host, tcp.getsockname()[1]))
                return tcp.getsockname()[1]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def family(pid):
    """A process and all that it has started."""
    found = [pid]
    for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split():
        found += family(int(child))
    return found


def dropped_datagrams(port):
    """The datagrams that the kernel has dropped because a socket at this port of 127.0.0.1 was full."""
    lines = pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines if line.split()[1] == f"0100007F:{port:04X}")


def verdict(is_met):
    """The words of a table for a goal."""
    return "met" if is_met else "not met"


class Demo:
    """`daymark demo`, for its three fake apiservers."""

    def __init__(self, daymark):
        self.api = free_port()
        self.process = subprocess.Popen([daymark, "demo", "--listen", f"127.0.0.1:{free_port()}", "--api", f"127.0.0.1:{self.api}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        output = ""
        for line in self.process.stdout:
            output += line
            if "Ctrl-C" in line:
                break
        port = re.search(r"\.13, port (\d+)", output)
        directory = re.search(r"--token-file (\S+)/state/", output)
        if not (port and directory):
            self.process.kill()
            raise SystemExit(f"the demo does not start:\n{output}")
        self.port = port[1]
        self.ca = directory[1] + "/ca.crt"

    def set_behaviour(self, node, behaviour):
        request(self.api, "PUT", f"/demo/{node}", behaviour)

    def end(self):
        self.process.terminate()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def addresses(sock, server):
    """The addresses in the answer for the pool: the last four bytes of each record, in a response without other sections."""
    name = b"".join(bytes([len(label)]) + label.encode() for label in POOL.split(".")) + b"\0"
    query = struct.pack(">HHHHHH", random.randrange(65536), 0, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1)
    sock.sendto(query, server)
    while (response := sock.recv(1232))[:2] != query[:2]:
        pass
    count = struct.unpack(">H", response[6:8])[0]
    records = response[len(query):]
    return {socket.inet_ntoa(records[index * 16 + 12:index * 16 + 16]) for index in range(count)}


def configuration(demo, directory, listen, admin, name=POOL, provider=""):
    """A configuration with the fakes as nodes; `provider` has more keys of the provider, each on a line."""
    nodes = "".join(f"      - {{name: {node}, addresses: [{address}]}}\n" for node, address in zip(NODES, ADDRESSES))
    pool = f"pools:\n  - name: {name}\n    port: {demo.port}\n    nodes:\n{nodes}    probe: {{ca: {demo.ca}, serverName: {POOL}}}\n"
    providers = f"providers:\n  - type: authoritative\n    listen: [\"{listen}\"]\n    nameservers: [{{name: ns1.example.net}}, {{name: ns2.example.net}}]\n{provider}"
    return f"{pool}{providers}admin: {{listen: \"127.0.0.1:{admin}\"}}\nstateDir: {directory}/state\n"


def request(port, method, path, body=None, headers=None):
    """The body of a successful response of an API at a port of 127.0.0.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    if response.status >= 300:
        raise SystemExit(f"{method} {path} is answered with {response.status}: {text}")
    return text


def metric(port, name, **labels):
    """The sum of a metric over all of its series that have these labels."""
    total = 0
    for line in request(port, "GET", "/metrics").splitlines():
        series = re.fullmatch(name + r"(?:\{(.*)\})? ([\d.e+-]+)", line)
        if series and all(f'{label}="{value}"' in (series[1] or "") for label, value in labels.items()):
            total += float(series[2])
    return total


class Dnsperf:
    """A run of dnsperf."""

    def __init__(self, host, port, queries, *arguments):
        self.command = ["dnsperf", "-s", host, "-p", str(port), "-d", str(queries), *map(str, arguments)]
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stop(self):
        """Ends it before its time."""
        self.process.send_signal(signal.SIGINT)
        return self.result()

    def result(self):
        """Waits until it ends, and reads its statistics."""
        output, _ = self.process.communicate()
        try:
            return Statistics(output)
        except TypeError:
            raise SystemExit(f"{' '.join(self.command)} failed:\n{output}") from None


class Statistics:
    """The figures that dnsperf prints."""

    def __init__(self, output):
        self.sent = int(re.search(r"Queries sent:\s+(\d+)", output)[1])
        self.completed = int(re.search(r"Queries completed:\s+(\d+)", output)[1])
        self.lost = int(re.search(r"Queries lost:\s+(\d+)", output)[1])
        self.rate = float(re.search(r"Queries per second:\s+([\d.]+)", output)[1])
        self.longest = float(re.search(r"Average Latency \(s\):.* max ([\d.]+)\)", output)[1])
        self.seconds = float(re.search(r"Run time \(s\):\s+([\d.]+)", output)[1])
        self.codes = {code: int(count) for code, count in re.findall(r"([A-Z]+) (\d+) \(\d", re.search(r"Response codes:(.*)", output)[1])}
