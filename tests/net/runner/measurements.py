"""Measurements with the fixture of the stories. Each returns figures that `run` prints."""

import os
import signal
import time

from . import network
from .fixture import POLL_INTERVAL, START_TIMEOUT


def kill(fixture):
    """Returns for each node the seconds from its kill until the last host answers without it."""
    times = []
    for node in network.NODES:
        others = frozenset(network.NODES) - {node}
        time.sleep(1 + fixture.random.random())  # At any moment of a probe's interval.
        began = time.monotonic()
        fixture.nodes[node].end(signal.SIGKILL)
        wait_for_answers(fixture, others, began)
        times.append(max(fixture.poller.latest(host).first for host in fixture.hosts) - began)
        fixture.nodes[node].start()
        wait_for_answers(fixture, others | {node}, began)
    return times


def wait_for_answers(fixture, nodes, since):
    fixture.until(START_TIMEOUT, lambda: all(fixture.answers(host, nodes, since) for host in fixture.hosts), POLL_INTERVAL)


def rest(fixture, seconds=30):
    """Returns the cost of a host at rest: the bytes of gossip that it sends in a second, with IP and UDP headers, and
    the percentage of a core that its process uses."""
    began = time.monotonic()
    bytes_before = fixture.gossip.bytes
    processor_before = processor_seconds(fixture)
    time.sleep(seconds)
    host_seconds = (time.monotonic() - began) * len(fixture.hosts)
    sent = (fixture.gossip.bytes - bytes_before) / host_seconds
    used = (processor_seconds(fixture) - processor_before) / host_seconds
    return [sent, 100 * used]


def processor_seconds(fixture):
    total = 0
    for host in fixture.hosts.values():
        with open(f"/proc/{host.process.pid}/stat", encoding="ascii") as file:
            total += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")
