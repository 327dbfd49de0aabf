"""A thread that serves sockets and timers, so that blocking work elsewhere delays neither."""

import heapq
import itertools
import os
import select
import threading
import time


class Loop(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self._readers = {}
        self._timers = []
        self._order = itertools.count()
        self._poll = select.epoll()
        self._lock = threading.Lock()
        self._wake, self._waker = os.pipe()
        self.add(self._wake, lambda: os.read(self._wake, 4096))

    def add(self, descriptor, callback):
        self._readers[descriptor] = callback
        self._poll.register(descriptor, select.EPOLLIN)

    def at(self, moment, callback):
        with self._lock:
            heapq.heappush(self._timers, (moment, next(self._order), callback))
        if threading.current_thread() is not self:
            os.write(self._waker, b"x")

    def run(self):
        while True:
            for callback in self._due():
                callback()
            wait = self._timers[0][0] - time.monotonic() if self._timers else 1
            for descriptor, _ in self._poll.poll(max(0, wait)):
                self._readers[descriptor]()

    def _due(self):
        now = time.monotonic()
        due = []
        with self._lock:
            while self._timers and self._timers[0][0] <= now:
                due.append(heapq.heappop(self._timers)[2])
        return due
