"""Measurements with the fixture of the stories. Each returns figures that `run` prints."""

import collections
import os
import signal
import subprocess
import sys
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


LOSS, JITTER = 0.01, 0.2  # A share of the packets; seconds.


def soak(fixture, minutes):
    """Loses and delays every packet of gossip and probes while other processes keep every core busy. Returns what the hosts
    answered and reported that was not calm, and how much the network and the probes suffered."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    before = {name: (host.probes(), host.events()) for name, host in fixture.hosts.items()}
    began = time.monotonic()
    fixture.gossip.disturb_every_packet(LOSS, JITTER)
    time.sleep(60 * minutes)
    ended = time.monotonic()
    fixture.gossip.disturb_every_packet(0, 0)
    for process in busy:
        process.kill()
    probes = collections.Counter()
    answers, events = [], []
    all_nodes = frozenset(network.NODES)
    for name, host in fixture.hosts.items():
        probes_before, events_before = before[name]
        probes += host.probes() - probes_before
        streaks = fixture.poller.between(name, began, ended)
        answers += [f"{name}: {streak} for {length:.2f} s" for streak, length in streaks if streak.answer != all_nodes]
        events += [f"{name}: {event['message']}" for event in host.events() if event not in events_before]
    return {"answers": answers, "events": events, "probes": probes, "lost": fixture.gossip.lost}


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
