"""Scans a host by SYN to twelve ports behind extensions of IPv6: from 2001:db8:9:6::1 behind nine, and from 2001:db8:9:5::1 behind one of
258 bytes, in frames of which the sender's kernel has just the first 54 bytes lie in one place."""

import socket
import struct
import sys

from scapy.all import TCP, Ether, HBHOptUnknown, IPv6, IPv6ExtHdrDestOpt, Raw, conf

conf.verb = 0
target, hardware, interface, which = sys.argv[1:5]
SOL_PACKET, PACKET_VNET_HDR = 263, 15
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
packets.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
packets.bind((interface, 0))
for port in range(1, 13):
    ether = Ether(dst=hardware, type=0x86DD)
    # More than a page: less lies in one place however it is sent.
    segment = TCP(sport=40_000, dport=port, flags="S", seq=port) / Raw(bytes(5_000))
    if which == "many":
        chain = IPv6(src="2001:db8:9:6::1", dst=target)
        for _ in range(9):
            chain = chain / IPv6ExtHdrDestOpt()
    else:
        # An option that whoever does not know it passes over.
        option = HBHOptUnknown(otype=0x1E, optlen=250, optdata=bytes(250))
        chain = IPv6(src="2001:db8:9:5::1", dst=target) / IPv6ExtHdrDestOpt(options=[option])
    header = struct.pack("=BBHHHH", 0, 0, 54, 0, 0, 0)
    packets.send(header + bytes(ether / chain / segment))
