"""Measurements on the same stage as the stories. Each gives lines of figures, which are put together by `run`."""

import os
import signal
import time

from . import network
from .stage import BEGIN, LOOK


def kill(stage):
    """How long after a node is killed the last host answers without it, in seconds, once for each node."""
    times = []
    for node in network.NODES:
        others = frozenset(network.NODES) - {node}
        time.sleep(1 + stage.random.random())  # At any moment of a probe's interval.
        began = time.monotonic()
        stage.nodes[node].end(signal.SIGKILL)
        stage.until(BEGIN, lambda: all(stage.answers(host, others, began) for host in stage.hosts), LOOK)
        times.append(max(stage.watch.now(host).first for host in stage.hosts) - began)
        stage.nodes[node].start()
        stage.until(BEGIN, lambda: all(stage.answers(host, others | {node}, began) for host in stage.hosts), LOOK)
    return times


def rest(stage, seconds=30):
    """What a host costs at rest: the bytes of gossip that it sends in a second, headers of IP and UDP included, and the
    percent of a core that all it does takes."""
    before, began = (stage.gossip.bytes, processor_seconds(stage)), time.monotonic()
    time.sleep(seconds)
    after, took = (stage.gossip.bytes, processor_seconds(stage)), time.monotonic() - began
    sent, used = ((new - old) / took / len(stage.hosts) for old, new in zip(before, after))
    return [sent, 100 * used]


def processor_seconds(stage):
    total = 0
    for host in stage.hosts.values():
        with open(f"/proc/{host.process.pid}/stat", encoding="ascii") as file:
            total += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")
