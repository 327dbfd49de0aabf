"""Asks every host for the name every 10 ms, and records each answer with its time."""

import dataclasses
import socket
import struct
import time

from . import network

INTERVAL = 0.01  # Seconds.
MAX_UNANSWERED = 50  # Questions in a row without an answer, after which the host counts as not answering.
NODE_OF = {socket.inet_aton(address): name for name, address in network.NODES.items()}


@dataclasses.dataclass
class Streak:
    """The same answer several times in a row: when it was first and last asked for; `None` stands for no answer."""

    first: float
    last: float
    answer: frozenset | None

    def __str__(self):
        return "no answer" if self.answer is None else " ".join(sorted(self.answer)) or "nothing"


def name_of(address):
    return NODE_OF.get(address) or socket.inet_ntoa(address)


class Poller:
    def __init__(self, loop, name):
        self.streaks = {host: [] for host in network.HOSTS}
        self._loop = loop
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        self._question = struct.pack(">HHHHH", 0, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)
        self._sockets = {host: self._socket(host, address) for host, address in network.HOSTS.items()}
        self._number = 0
        self._asked = {}
        self._unanswered = dict.fromkeys(network.HOSTS, 0)
        loop.at(time.monotonic(), self._ask)

    def latest(self, host):
        """Returns the last streak, if any."""
        return self.streaks[host][-1] if self.streaks[host] else None

    def between(self, host, begin, end):
        """Returns the streaks of a period, each with its length in seconds within the period."""
        streaks = [streak for streak in list(self.streaks[host]) if streak.last >= begin and streak.first <= end]
        edges = [max(begin, streak.first) for streak in streaks] + [end]
        return [(streak, until - since) for streak, since, until in zip(streaks, edges, edges[1:])]

    def update_address(self, host):
        """Asks a host at its present address from now on."""
        self._sockets[host].connect((network.HOSTS[host], 53))

    def _socket(self, host, address):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.setblocking(False)
        asking.connect((address, 53))
        self._loop.add(asking.fileno(), lambda: self._receive(host))
        return asking

    def _ask(self):
        now = time.monotonic()
        self._number = (self._number + 1) % 65536
        self._asked[self._number] = now
        for host, asking in self._sockets.items():
            try:
                asking.send(struct.pack(">H", self._number) + self._question)
            except OSError:
                pass  # A refusal also shows when receiving.
            self._unanswered[host] += 1
            if self._unanswered[host] >= MAX_UNANSWERED:
                self._record(host, now, None)
        self._loop.at(now + INTERVAL, self._ask)

    def _receive(self, host):
        try:
            response = self._sockets[host].recv(1232)
        except OSError:
            self._record(host, time.monotonic(), None)
            return
        number, _, _, count = struct.unpack(">HHHH", response[:8])
        asked_at = self._asked.get(number, 0)
        if self.streaks[host] and asked_at < self.streaks[host][-1].last:
            return
        self._unanswered[host] = 0
        # Each record is a pointer to the name, type, class, TTL, length, and the address.
        records = response[2 + len(self._question):]
        addresses = (records[n * 16 + 12:n * 16 + 16] for n in range(count))
        self._record(host, asked_at, frozenset(map(name_of, addresses)))

    def _record(self, host, moment, answer):
        streak = self.latest(host)
        if streak and streak.answer == answer:
            streak.last = moment
        else:
            self.streaks[host].append(Streak(moment, moment, answer))
