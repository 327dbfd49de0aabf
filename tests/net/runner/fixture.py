"""The fixture of a story: the network, the machines and the poller, started and healthy."""

import random
import time

from . import machines, network
from .gossip import GossipPath
from .loop import Loop
from .poller import Poller

START_TIMEOUT = 30  # Seconds until everything is healthy at first; only a story that fails waits this long.
POLL_INTERVAL = 0.005  # Seconds between two looks at the recorded answers.
STATUS_INTERVAL = 0.05  # Seconds between two requests to an admin API.


class Failed(Exception):
    """An expectation did not come true."""


class Fixture:
    """The network, the machines and the poller."""

    def __init__(self, directory, certificates, binary, seed, has_clock=False, by_name=False, has_cloudflare=False):
        self.random = random.Random(seed)
        self.loop = Loop()
        network.build()
        self.gossip = GossipPath(self.loop, seed)
        self.nodes = {name: machines.Node(name, directory, certificates) for name in network.NODES}
        self.host_names = machines.HostNames(directory)
        self.cloudflare = machines.Cloudflare(directory, binary) if has_cloudflare else None
        token = self.cloudflare.token if self.cloudflare else None
        self.hosts = {name: machines.Host(name, directory, certificates, binary, has_clock, by_name, token)
                      for name in network.HOSTS}
        self.machines = self.nodes | self.hosts
        self._keys = {"old": machines.new_key(), "new": machines.new_key()}
        self.set_keys(["old"], self.hosts)
        self.poller = Poller(self.loop, machines.NAME)
        self.loop.start()

    def start(self):
        for node in self.nodes.values():
            node.start()
        self.until(START_TIMEOUT, lambda: all(node.listens() for node in self.nodes.values()), POLL_INTERVAL)
        for host in self.hosts.values():
            host.start()
        self.until(START_TIMEOUT, lambda: all(self.is_healthy(host) for host in self.hosts), STATUS_INTERVAL)
        since = time.monotonic()
        all_nodes = frozenset(network.NODES)
        self.until(START_TIMEOUT, lambda: all(self.answers(host, all_nodes, since) for host in self.hosts), POLL_INTERVAL)
        if self.cloudflare:
            self.until(START_TIMEOUT, lambda: self.cloudflare.nodes() == all_nodes, STATUS_INTERVAL)

    def is_healthy(self, host):
        if self.hosts[host].process.poll() is not None:
            raise Failed(f"{host} has ended: {self.hosts[host].log().strip()}")
        status = self.hosts[host].status()
        if not status or self.quorum_state(status) != "quorum":
            return False
        return all(self.finds_ready(status, each) == set(network.NODES) for each in self.hosts)

    @staticmethod
    def finds_ready(status, host):
        """Returns the nodes that a host itself finds ready, by a status whose answer is published; else `None`."""
        [pool] = status["pools"]
        [provider, *_] = status["providers"]
        if (provider["published"] or 0) < pool["generation"]:
            return None
        votes = [(target["node"], vote) for target in pool["targets"] for vote in target["votes"]]
        return {node for node, vote in votes if vote["host"] == host and vote["grade"] == "ready"}

    @staticmethod
    def quorum_state(status):
        return status.get("hosts", {}).get("quorumState")

    def answers(self, host, nodes, since):
        """Returns whether a host answers these nodes now, asked at `since` or later."""
        streak = self.poller.latest(host)
        return streak is not None and streak.last >= since and streak.answer == nodes

    def until(self, bound, condition, pause):
        end = time.monotonic() + bound
        while not condition():
            if not self.loop.is_alive():
                raise RuntimeError("the thread of the network has ended")
            if time.monotonic() > end:
                raise Failed(f"not within {bound:g} s")
            time.sleep(pause)

    def set_keys(self, names, hosts):
        """Writes the key file of these hosts: the keys of these names, `old` and `new`, in their order."""
        text = "".join(f"{self._keys[name]}\n" for name in names)
        for host in hosts:
            machines.write(self.hosts[host].path("gossip.key"), text)
