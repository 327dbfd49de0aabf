"""The path of the gossip between the hosts. It loses, delays, reorders and duplicates datagrams, records them, and
injects datagrams that no host has sent. It has no gossip key. For a soak, it also carries the probes.

The kernel's netem can do the first four, but not every kernel has it, and it can do neither of the others.
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
ADDRESS["unknown"] = socket.inet_aton(network.UNKNOWN)


class GossipPath:
    def __init__(self, loop, seed):
        self.carried = collections.deque(maxlen=4096)  # (from, to, payload)
        self.bytes = 0
        self.stray = 0  # Datagrams to the unknown address.
        self._loop = loop
        self._random = random.Random(seed)
        self._faults = {}
        self._every_packet = None
        self.lost = 0  # Packets that `disturb_every_packet` has dropped.
        self._tunnel = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._tunnel, TUNSETIFF, struct.pack("16sH22x", network.TUNNEL.encode(), IFF_TUN | IFF_NO_PI))
        network.divert_gossip()
        loop.add(self._tunnel, self._carry)

    def fault(self, pairs, kind, value):
        for one, other in pairs:
            self._faults.setdefault((ADDRESS[one], ADDRESS[other]), {})[kind] = value

    def disturb_every_packet(self, loss, jitter):
        """Carries the probes too from now on, and loses or delays every packet: a share of 0 to 1, and up to these seconds."""
        self._every_packet = loss, jitter
        network.divert_probes()

    def heal(self):
        self._faults = {}

    def update_address(self, host):
        """Uses the present address of a host from now on."""
        ADDRESS[host] = socket.inet_aton(network.HOSTS[host])

    def inject(self, sender, to, payload):
        """Sends a datagram to a host from the address of another host, or from the unknown one."""
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, ADDRESS[sender],
                           ADDRESS[to])
        total = sum(struct.unpack(">10H", head))
        head = head[:10] + struct.pack(">H", 0xFFFF - (total % 0xFFFF)) + head[12:]
        udp = struct.pack(">HHHH", network.GOSSIP_PORT, network.GOSSIP_PORT, 8 + len(payload), 0)
        os.write(self._tunnel, head + udp + payload)

    def _carry(self):
        packet = os.read(self._tunnel, 65536)
        if self._every_packet:
            loss, jitter = self._every_packet
            if self._random.random() < loss:
                self.lost += 1
            else:
                delay = self._random.uniform(0, jitter)
                self._loop.at(time.monotonic() + delay, lambda: os.write(self._tunnel, packet))
            return
        if packet[0] >> 4 != 4 or packet[9] != 17:
            return
        pair = packet[12:16], packet[16:20]
        self.bytes += len(packet)
        if pair[1] == ADDRESS["unknown"]:
            self.stray += 1
            return
        self.carried.append((*pair, packet[(packet[0] & 15) * 4 + 8:]))
        fault = self._faults.get(pair, {})
        draw = self._random
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
