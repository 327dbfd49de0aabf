"""The machines and the paths between them. Each machine has a network namespace; the namespace of this process routes
between them, as the Internet does. Each path can be cut by itself, in one direction or both.
"""

import contextlib
import ctypes
import os
import subprocess

HOSTS = {"h1": "192.0.2.11", "h2": "192.0.2.12", "h3": "192.0.2.13"}
NODES = {"n1": "198.51.100.1", "n2": "198.51.100.2", "n3": "198.51.100.3"}
# Daymark uses plain HTTP only for loopback addresses; here this one is routed to another machine.
CLOUDFLARE = "127.66.0.1"
MACHINES = HOSTS | NODES | {"cloudflare": CLOUDFLARE}
NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
CLIENT = "203.0.113.1"
UNKNOWN = "203.0.113.66"  # The address of no machine.
GATEWAY = "169.254.1.1"
GOSSIP_PORT = 7946
NODE_PORT = 6443
CLOUDFLARE_PORT = 8080
TUNNEL = "gossip"

# Gossip is marked and routed through the tunnel, which `gossip.py` reads and writes.
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


def run(*command, stdin=None):
    done = subprocess.run(command, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout


def namespace(machine):
    return f"/run/netns/{machine}"


@contextlib.contextmanager
def inside(machine):
    """Moves this thread into the namespace of a machine: sockets that it opens belong to that machine."""
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
    """Builds the whole network, inside a network and a mount namespace of its own. It ends with these."""
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
    run("ip", "-batch", "-", stdin="\n".join(lines))
    for machine, address in MACHINES.items():
        lines = ["link set lo up", f"address add {address}/32 dev eth0", "link set eth0 up"]
        # No default route: a connection to any other address, such as a name server's, fails at once.
        lines += [f"route add {GATEWAY} dev eth0", *_routes("add", machine)]
        run("ip", "-n", machine, "-batch", "-", stdin="\n".join(lines))
        with inside(machine):
            _set("ipv4/conf/all/route_localnet", 1)
    run("nft", "-f", "-", stdin=RULES)


def move(host):
    """Replaces the address of a host by one that it never had. Cuts of the old address do not apply to it."""
    old = HOSTS[host]
    network, _, last = old.rpartition(".")
    new = HOSTS[host] = MACHINES[host] = f"{network}.{int(last) + 10}"
    run("ip", "-batch", "-", stdin=f"route add {new} dev to-{host} src {CLIENT}\nroute del {old} dev to-{host}")
    lines = [f"address add {new}/32 dev eth0", *_routes("replace", host), f"address del {old}/32 dev eth0"]
    run("ip", "-n", host, "-batch", "-", stdin="\n".join(lines))


def _table(address):
    """Returns the routing table for an address: the loopback routes are in one that comes before all others."""
    return "table local" if address == CLOUDFLARE else ""


def _routes(how, machine):
    """Returns the routes from a machine to the others. Only hosts have one to Cloudflare."""
    others = NETWORKS + ((CLOUDFLARE,) if machine in HOSTS else ())
    via = f"via {GATEWAY} dev eth0 src {MACHINES[machine]}"
    return [f"route {how} {other} {via} {_table(other)}" for other in others]


def divert_gossip():
    """Routes the gossip through the tunnel, which must exist."""
    lines = [f"link set {TUNNEL} up", "rule add fwmark 1 lookup 7", f"route add default dev {TUNNEL} table 7"]
    run("ip", "-batch", "-", stdin="\n".join(lines))


def divert_probes():
    """Routes the connections between hosts and nodes through the tunnel too."""
    for direction in ("dport", "sport"):
        run("nft", f"add rule ip paths divert iifname != {TUNNEL} tcp {direction} {NODE_PORT} meta mark set 1")


def cut(pairs):
    """Drops every packet from the first machine of each pair to the second."""
    _change("add", "cut", pairs)


def restore(pairs):
    _change("delete", "cut", pairs)


def reject(pairs):
    """Resets every connection from the first machine of each pair to the port of the second, a node."""
    _change("add", "rejected", pairs)


def heal():
    """Restores every path."""
    run("nft", "flush set ip paths cut; flush set ip paths rejected")


def _change(how, name, pairs):
    elements = ", ".join(f"{MACHINES[one]} . {MACHINES[other]}" for one, other in pairs)
    run("nft", f"{how} element ip paths {name} {{ {elements} }}")


def _set(key, value):
    with open(f"/proc/sys/net/{key}", "w", encoding="ascii") as file:
        file.write(str(value))
