"""All that a story is played on: the network, the machines and the watch, from the beginning in which all is well."""

import random
import time

from . import machines, network
from .gossip import Gossip
from .loop import Loop
from .watch import Watch

BEGIN = 30  # Seconds until all is well at first; only waited out by a story that fails.
LOOK, ASK = 0.005, 0.05  # Between two looks at the answers, and between two questions to an admin API.


class Failed(Exception):
    """What was expected did not happen."""


class Stage:
    """The network, the machines and the watch."""

    def __init__(self, directory, certificates, binary, seed, has_clock=False, by_name=False, has_cloudflare=False):
        self.random = random.Random(seed)
        self.loop = Loop()
        network.build()
        self.gossip = Gossip(self.loop, seed)
        self.nodes = {name: machines.Node(name, directory, certificates) for name in network.NODES}
        self.names = machines.Names(directory)
        self.cloudflare = machines.Cloudflare(directory, binary) if has_cloudflare else None
        token = self.cloudflare.token if self.cloudflare else None
        self.hosts = {name: machines.Host(name, directory, certificates, binary, has_clock, by_name, token)
                      for name in network.HOSTS}
        self.machines = self.nodes | self.hosts
        self.keys = [machines.new_key(), machines.new_key()]
        self.rotate(0, self.hosts)
        self.watch = Watch(self.loop, machines.NAME)
        self.loop.start()

    def begin(self):
        for node in self.nodes.values():
            node.start()
        self.until(BEGIN, lambda: all(node.listens() for node in self.nodes.values()), LOOK)
        for host in self.hosts.values():
            host.start()
        self.until(BEGIN, lambda: all(self.is_well(host) for host in self.hosts), ASK)
        well, everything = time.monotonic(), frozenset(network.NODES)
        self.until(BEGIN, lambda: all(self.answers(host, everything, well) for host in self.hosts), LOOK)
        if self.cloudflare:
            self.until(BEGIN, lambda: self.cloudflare.nodes() == everything, ASK)

    def is_well(self, host):
        if self.hosts[host].process.poll() is not None:
            raise Failed(f"{host} has ended: {self.hosts[host].log().strip()}")
        status = self.hosts[host].status()
        if not status or self.standing(status) != "quorum":
            return False
        return all(self.sees(status, each) == set(network.NODES) for each in self.hosts)

    @staticmethod
    def sees(status, host):
        """The nodes that a host finds ready itself, as a published status says."""
        [pool], [provider, *_] = status["pools"], status["providers"]
        if (provider["published"] or 0) < pool["generation"]:
            return None
        votes = [(target["node"], vote) for target in pool["targets"] for vote in target["votes"]]
        return {node for node, vote in votes if vote["host"] == host and vote["grade"] == "ready"}

    @staticmethod
    def standing(status):
        return status.get("hosts", {}).get("standing")

    def answers(self, host, nodes, since):
        """Whether that is the answer to a question after a moment, and the last one."""
        run = self.watch.now(host)
        return run is not None and run.last >= since and run.answer == nodes

    def until(self, bound, condition, pause):
        end = time.monotonic() + bound
        while not condition():
            if not self.loop.is_alive():
                raise RuntimeError("the thread of the network has ended")
            if time.monotonic() > end:
                raise Failed(f"not within {bound:g} s")
            time.sleep(pause)

    def rotate(self, step, hosts):
        old, new = self.keys
        lines = ([old], [old, new], [new, old], [new])[step]
        for host in hosts:
            machines.write(self.hosts[host].path("gossip.key"), "\n".join(lines) + "\n")
