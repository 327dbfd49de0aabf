"""The path of the gossip, in our hands: it loses, delays, reorders and repeats datagrams, remembers what it carried,
and brings in what no host has sent. It cannot open any of it.

The kernel's netem does the first four too, but is not in every kernel, and the rest it cannot do.
"""

import collections
import fcntl
import os
import random
import socket
import struct
import time

from . import network

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
ADDRESS = {name: socket.inet_aton(address) for name, address in network.HOSTS.items()}
ADDRESS["elsewhere"] = socket.inet_aton(network.ELSEWHERE)


class Gossip:
    def __init__(self, loop, seed):
        self.carried = collections.deque(maxlen=4096)  # (from, to, payload)
        self.bytes = self.astray = 0
        self._loop, self._random = loop, random.Random(seed)
        self._faults = {}
        self._tunnel = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._tunnel, TUNSETIFF, struct.pack("16sH22x", network.TUNNEL.encode(), IFF_TUN | IFF_NO_PI))
        network.divert_gossip()
        loop.add(self._tunnel, self._carry)

    def fault(self, pairs, kind, value):
        for one, other in pairs:
            self._faults.setdefault((ADDRESS[one], ADDRESS[other]), {})[kind] = value

    def heal(self):
        self._faults = {}

    def follow(self, host):
        """Knows a host by the address that it has now."""
        ADDRESS[host] = socket.inet_aton(network.HOSTS[host])

    def bring(self, sender, to, payload):
        """A datagram that seems to come from a host, or from elsewhere."""
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, ADDRESS[sender],
                           ADDRESS[to])
        total = sum(struct.unpack(">10H", head))
        head = head[:10] + struct.pack(">H", 0xFFFF - (total % 0xFFFF)) + head[12:]
        udp = struct.pack(">HHHH", network.GOSSIP_PORT, network.GOSSIP_PORT, 8 + len(payload), 0)
        os.write(self._tunnel, head + udp + payload)

    def _carry(self):
        packet = os.read(self._tunnel, 65536)
        if packet[0] >> 4 != 4 or packet[9] != 17:
            return
        pair = packet[12:16], packet[16:20]
        self.bytes += len(packet)
        if pair[1] == ADDRESS["elsewhere"]:
            self.astray += 1
            return
        self.carried.append((*pair, packet[(packet[0] & 15) * 4 + 8:]))
        fault, draw = self._faults.get(pair, {}), self._random
        if draw.random() < fault.get("loss", 0):
            return
        for copy in range(1 + (draw.randrange(3) if "duplicate" in fault else 0)):
            delay = fault.get("delay", 0) + copy * draw.uniform(0, 0.2)
            if "reorder" in fault:
                delay += draw.choice((0, draw.uniform(0, 0.5)))
            if delay:
                self._loop.at(time.monotonic() + delay, lambda: os.write(self._tunnel, packet))
            else:
                os.write(self._tunnel, packet)
