"""The machines and the paths between them: one network namespace a machine, and as the Internet the one that this runs
in, which routes from machine to machine. Every path can be cut by itself, each way.
"""

import contextlib
import ctypes
import os
import subprocess

HOSTS = {"h1": "192.0.2.11", "h2": "192.0.2.12", "h3": "192.0.2.13"}
NODES = {"n1": "198.51.100.1", "n2": "198.51.100.2", "n3": "198.51.100.3"}
# Daymark speaks plain HTTP only to what is its own machine by its address; here this address is led to another.
CLOUDFLARE = "127.66.0.1"
MACHINES = HOSTS | NODES | {"cloudflare": CLOUDFLARE}
NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
CLIENT, ELSEWHERE, GATEWAY = "203.0.113.1", "203.0.113.66", "169.254.1.1"
GOSSIP_PORT, NODE_PORT, CLOUDFLARE_PORT = 7946, 6443, 8080
TUNNEL = "gossip"

# What the gossip marks goes by way of the tunnel, where `gossip.py` has it in its hands.
RULES = f"""
table ip paths {{
  set cut {{ type ipv4_addr . ipv4_addr; }}
  set rejected {{ type ipv4_addr . ipv4_addr; }}
  chain divert {{
    type filter hook prerouting priority mangle;
    iifname != "{TUNNEL}" udp dport {GOSSIP_PORT} meta mark set 1
  }}
  chain forward {{
    type filter hook forward priority filter;
    iifname != "{TUNNEL}" ip saddr . ip daddr @cut drop
    tcp dport {NODE_PORT} ip saddr . ip daddr @rejected reject with tcp reset
  }}
}}
"""

_libc = ctypes.CDLL(None, use_errno=True)


def run(*command, given=None):
    done = subprocess.run(command, input=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout


def namespace(machine):
    return f"/run/netns/{machine}"


@contextlib.contextmanager
def inside(machine):
    """What this thread opens in here belongs to the machine."""
    with open("/proc/thread-self/ns/net") as here, open(namespace(machine)) as there:
        _enter(there)
        try:
            yield
        finally:
            _enter(here)


def _enter(space):
    if _libc.setns(space.fileno(), 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def build():
    """Makes the whole network, in a network and a mount namespace made for it. With these, all of it goes."""
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "netns", "/run/netns")
    _set("ipv4/ip_forward", 1)
    _set("ipv4/conf/all/route_localnet", 1)
    for each in ("all", "default"):
        _set(f"ipv4/conf/{each}/rp_filter", 0)
    lines = ["link set lo up", f"address add {CLIENT}/32 dev lo"]
    for machine, address in MACHINES.items():
        lines += [f"netns add {machine}", f"link add to-{machine} type veth peer name eth0 netns {machine}"]
        lines += [f"address add {GATEWAY}/32 dev to-{machine}", f"link set to-{machine} up"]
        lines += [f"route add {address} dev to-{machine} src {CLIENT} {_table(address)}"]
    run("ip", "-batch", "-", given="\n".join(lines))
    for machine, address in MACHINES.items():
        lines = ["link set lo up", f"address add {address}/32 dev eth0", "link set eth0 up"]
        # No default route: who looks elsewhere, such as for a name server, is to know at once that there is none.
        lines += [f"route add {GATEWAY} dev eth0", *_ways("add", machine)]
        run("ip", "-n", machine, "-batch", "-", given="\n".join(lines))
        with inside(machine):
            _set("ipv4/conf/all/route_localnet", 1)
    run("nft", "-f", "-", given=RULES)


def move(host):
    """Gives a host an address that it never had, in the place of the one it has. What was cut before is not cut there."""
    old = HOSTS[host]
    network, _, last = old.rpartition(".")
    new = HOSTS[host] = MACHINES[host] = f"{network}.{int(last) + 10}"
    run("ip", "-batch", "-", given=f"route add {new} dev to-{host} src {CLIENT}\nroute del {old} dev to-{host}")
    lines = [f"address add {new}/32 dev eth0", *_ways("replace", host), f"address del {old}/32 dev eth0"]
    run("ip", "-n", host, "-batch", "-", given="\n".join(lines))


def _table(address):
    """Where a route to an address is to stand: loopback's has a table before all others."""
    return "table local" if address == CLOUDFLARE else ""


def _ways(how, machine):
    """The routes from a machine to the others; to Cloudflare only from hosts."""
    others = NETWORKS + ((CLOUDFLARE,) if machine in HOSTS else ())
    way = f"via {GATEWAY} dev eth0 src {MACHINES[machine]}"
    return [f"route {how} {other} {way} {_table(other)}" for other in others]


def divert_gossip():
    """Leads the gossip through the tunnel, once that is there."""
    lines = [f"link set {TUNNEL} up", "rule add fwmark 1 lookup 7", f"route add default dev {TUNNEL} table 7"]
    run("ip", "-batch", "-", given="\n".join(lines))


def cut(pairs):
    _change("add", "cut", pairs)


def mend(pairs):
    _change("delete", "cut", pairs)


def reject(pairs):
    _change("add", "rejected", pairs)


def heal():
    run("nft", "flush set ip paths cut; flush set ip paths rejected")


def _change(how, name, pairs):
    elements = ", ".join(f"{MACHINES[one]} . {MACHINES[other]}" for one, other in pairs)
    run("nft", f"{how} element ip paths {name} {{ {elements} }}")


def _set(key, value):
    with open(f"/proc/sys/net/{key}", "w", encoding="ascii") as file:
        file.write(str(value))
