"""Scans a host in packets that are not as others: from 203.0.113.51 behind two tags, from .52 with 40 bytes of options, and from .53 in
fragments of eight bytes."""

import sys

from scapy.all import IP, TCP, Dot1AD, Dot1Q, Ether, conf, fragment, sendp

conf.verb = 0
target, hardware, interface = sys.argv[1:4]
ether = Ether(dst=hardware, type=0x0800)
for port in range(1, 13):
    # Each has numbers of its own: the same ones of several sources would be taken for decoys.
    one, two, three = (TCP(sport=40_000 + source, dport=port, flags="S", seq=port) for source in range(3))
    frames = [
        Ether(dst=hardware) / Dot1AD(vlan=7) / Dot1Q(vlan=8) / IP(src="203.0.113.51", dst=target) / one,
        ether / IP(src="203.0.113.52", dst=target, options=b"\x01" * 40) / two,
    ]
    frames += [ether / piece for piece in fragment(IP(src="203.0.113.53", dst=target, id=port) / three, fragsize=8)]
    sendp(frames, iface=interface)
