"""Asks every host for the name, every 10 ms, and keeps what each answered and when."""

import dataclasses
import socket
import struct
import time

from . import network

EVERY = 0.01
UNANSWERED = 50  # So many questions in a row without an answer are silence.
NODE_OF = {socket.inet_aton(address): name for name, address in network.NODES.items()}


@dataclasses.dataclass
class Run:
    """One answer again and again: the moments of the first and the last question, and the answer; None is silence."""

    first: float
    last: float
    answer: frozenset | None

    def __str__(self):
        return "silence" if self.answer is None else " ".join(sorted(self.answer)) or "nothing"


def name_of(address):
    return NODE_OF.get(address) or socket.inet_ntoa(address)


class Watch:
    def __init__(self, loop, name):
        self.runs = {host: [] for host in network.HOSTS}
        self._loop = loop
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        self._question = struct.pack(">HHHHH", 0, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)
        self._sockets = {host: self._socket(host, address) for host, address in network.HOSTS.items()}
        self._number, self._asked, self._unanswered = 0, {}, dict.fromkeys(network.HOSTS, 0)
        loop.at(time.monotonic(), self._ask)

    def now(self, host):
        """The last run, if any."""
        return self.runs[host][-1] if self.runs[host] else None

    def between(self, host, begin, end):
        """What was answered to the questions of a time, each with how long it was the answer then."""
        runs = [run for run in list(self.runs[host]) if run.last >= begin and run.first <= end]
        edges = [max(begin, run.first) for run in runs] + [end]
        return [(run, until - since) for run, since, until in zip(runs, edges, edges[1:])]

    def follow(self, host):
        """Asks a host at the address that it has now."""
        self._sockets[host].connect((network.HOSTS[host], 53))

    def _socket(self, host, address):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.setblocking(False)
        asking.connect((address, 53))
        self._loop.add(asking.fileno(), lambda: self._hear(host))
        return asking

    def _ask(self):
        now = time.monotonic()
        self._number = (self._number + 1) % 65536
        self._asked[self._number] = now
        for host, asking in self._sockets.items():
            try:
                asking.send(struct.pack(">H", self._number) + self._question)
            except OSError:
                pass  # That it is refused is heard below, or was before.
            self._unanswered[host] += 1
            if self._unanswered[host] >= UNANSWERED:
                self._note(host, now, None)
        self._loop.at(now + EVERY, self._ask)

    def _hear(self, host):
        try:
            response = self._sockets[host].recv(1232)
        except OSError:
            self._note(host, time.monotonic(), None)
            return
        number, _, _, count = struct.unpack(">HHHH", response[:8])
        at = self._asked.get(number, 0)
        if self.runs[host] and at < self.runs[host][-1].last:
            return
        self._unanswered[host] = 0
        # Each record is a pointer to the name, type, class, TTL, length, and the address.
        records = response[2 + len(self._question):]
        self._note(host, at, frozenset(map(name_of, (records[n * 16 + 12:n * 16 + 16] for n in range(count)))))

    def _note(self, host, at, answer):
        run = self.now(host)
        if run and run.answer == answer:
            run.last = at
        else:
            self.runs[host].append(Run(at, at, answer))
