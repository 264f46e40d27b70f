#!/usr/bin/env python3
"""Writes what each target begins with into fuzz/corpus: one of each kind of input, which libFuzzer then changes."""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent
CORPUS = HERE / "corpus"
OWN, OTHER = bytes([198, 51, 100, 1]), bytes([203, 0, 113, 9])
OWN_6 = bytes.fromhex("20010db8") + bytes(11) + b"\1"
OTHER_6 = bytes.fromhex("20010db80009") + bytes(9) + b"\1"
ARRIVES, LEAVES = 0, 1


def ipv4(protocol, payload, fragment=0, options=b"", source=OTHER, target=OWN):
    words = 5 + len(options) // 4
    length = words * 4 + len(payload)
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, length, 1, fragment, 64, protocol, 0)
    return head + source + target + options + payload


def ipv6(following, payload, source=OTHER_6, target=OWN_6):
    return struct.pack(">IHBB", 6 << 28, len(payload), following, 64) + source + target + payload


def tcp(flags, port=22, other=40000, options=b""):
    offset = 5 + len(options) // 4 << 4
    return struct.pack(">HHIIBBHHH", other, port, 1, 1, offset, flags, 1024, 0, 0) + options


def udp(payload=b"", port=53, other=40000):
    return struct.pack(">HHHH", other, port, 8 + len(payload), 0) + payload


def icmp(kind, code=0, payload=bytes(4)):
    return struct.pack(">BBH", kind, code, 0) + payload


SYN, FIN, RST, ACK = 2, 1, 4, 16
FRAMES = {
    "syn": [(ARRIVES, ipv4(6, tcp(SYN))), (LEAVES, ipv4(6, tcp(RST | ACK), source=OWN, target=OTHER))],
    "handshake": [(ARRIVES, ipv4(6, tcp(SYN))), (LEAVES, ipv4(6, tcp(SYN | ACK, 40000, 22), source=OWN, target=OTHER))],
    "scan": [(ARRIVES, ipv4(6, tcp(SYN, port))) for port in range(1, 9)],
    "flags": [(ARRIVES, ipv4(6, tcp(flags))) for flags in (0, FIN, 0x29, ACK, 0x3F)],
    "options": [(ARRIVES, ipv4(6, tcp(SYN, options=b"\1" * 40), options=b"\1" * 40))],
    "fragments": [(ARRIVES, ipv4(6, tcp(SYN)[:8], 0x2000)), (ARRIVES, ipv4(6, tcp(SYN)[8:], 1))],
    "udp": [
        (ARRIVES, ipv4(17, udp(b"hi"))),
        (LEAVES, ipv4(1, icmp(3, 3, bytes(4) + ipv4(17, udp())), source=OWN, target=OTHER)),
    ],
    "udp6": [
        (ARRIVES, ipv6(17, udp(b"hi"))),
        (LEAVES, ipv6(58, icmp(1, 4, bytes(4) + ipv6(17, udp())), OWN_6, OTHER_6)),
    ],
    "ping": [(ARRIVES, ipv4(1, icmp(8))), (LEAVES, ipv4(1, icmp(0), source=OWN, target=OTHER))],
    "ping6": [(ARRIVES, ipv6(58, icmp(128))), (LEAVES, ipv6(58, icmp(129), OWN_6, OTHER_6))],
    "sctp": [(ARRIVES, ipv4(132, struct.pack(">HHII", 40000, 36412, 0, 0) + b"\1\0\0\4"))],
    "extensions": [
        (ARRIVES, ipv6(0, b"\x3c\0" + bytes(6) + b"\x2b\0" + bytes(6) + b"\x2c\0" + bytes(6) + b"\6\0\0\1" + bytes(4) + tcp(SYN))),
        (ARRIVES, ipv6(51, b"\6\4" + bytes(22) + tcp(SYN))),
    ],
}
MINING = b'{"id":1,"method":"mining.subscribe","params":["miner/1.0"]}\n'
QUESTION = b"\0\7\1\0\0\1\0\0\0\0\0\0\4pool\7example\3org\0\0\1\0\1"


def capture(packets):
    """A pcap file of frames of Ethernet."""
    file = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for at, packet in enumerate(packets):
        frame = bytes(12) + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0") + packet
        file += struct.pack("<IIII", at, 0, len(frame), len(frame)) + frame
    return file


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


for name, packets in FRAMES.items():
    write("frames", name, b"".join(bytes([way, len(packet)]) + packet for way, packet in packets))
    write("captures", name, capture(packet for _, packet in packets))
write("captures", "mining", capture([ipv4(6, tcp(SYN, 3333)), ipv4(6, tcp(ACK | 8, 3333) + MINING)]))
write("captures", "question", capture([ipv4(17, udp(QUESTION))]))
write("ban_lists", "list", b"203.0.113.9 # one\n203.0.113.0/24\n2001:db8::/32\n; none\n::ffff:192.0.2.1\n\nexample.org\n")
for kind in range(32):
    write("events", str(kind), struct.pack("<I", kind) + bytes(508))
