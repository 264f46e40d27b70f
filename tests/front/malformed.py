"""Sends what no host sends, a few of each kind and each kind from a source of its own: 203.0.113.1 and on, to a host's address and
hardware address, out of an interface. Prints which source sent what."""

import sys

from scapy.all import (ICMP, IP, TCP, UDP, Dot1AD, Dot1Q, Ether, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN, Raw, conf, fragment,
                       sendp)

conf.verb = 0
target, target_6, hardware, interface = sys.argv[1:5]
ether = Ether(dst=hardware, type=0x0800)
ether_6 = Ether(dst=hardware, type=0x86DD)
served = 8080
frames = {}


def kind(name, make):
    """Three frames or lists of them, each from another port."""
    source = f"203.0.113.{len(frames) + 1}"
    made = []
    for number in range(3):
        one = make(source, 20_000 + number)
        made += one if isinstance(one, list) else [one]
    frames[f"{source} {name}"] = made


def syn(source, port, **fields):
    return IP(src=source, dst=target) / TCP(sport=port, dport=served, flags="S", **fields)


def overlapping(source, port):
    segment = bytes(TCP(sport=port, dport=served, flags="S", options=[("NOP", None)] * 20))
    first = IP(src=source, dst=target, proto=6, id=port, flags="MF") / Raw(segment[:24])
    later = IP(src=source, dst=target, proto=6, id=port, frag=1) / Raw(b"\xff" * 24)
    return [ether / first, ether / later]


def fragments(source, port):
    packet = syn(source, port)
    return [ether / piece for piece in fragment(packet, fragsize=8)]


def extended(source, port):
    tail = TCP(sport=port, dport=served, flags="S")
    chain = IPv6(src="2001:db8:9:1::1", dst=target_6) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
    for _ in range(7):
        chain = chain / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 140)])
    return ether_6 / chain / tail


def garbage(source, port):
    return ether / IP(src=source, dst=target) / ICMP(type=3, code=3) / Raw(bytes(range(64)) + port.to_bytes(2, "big"))


def short_quote(source, port):
    quoted = bytes(IP(src=target, dst=source, proto=17) / UDP(sport=port, dport=53))[:22]
    return ether / IP(src=source, dst=target) / ICMP(type=3, code=3) / Raw(quoted)


kind("40 bytes of options", lambda source, port: ether / IP(src=source, dst=target, options=b"\x01" * 40) / TCP(
    sport=port, dport=served, flags="S", options=[("NOP", None)] * 40))
kind("fragments of 8 bytes", fragments)
kind("overlapping fragments", overlapping)
kind("a header of TCP cut short", lambda source, port: Raw(bytes(ether / syn(source, port))[:14 + 20 + 9]))
kind("a header of IP cut short", lambda source, port: Raw(bytes(ether / syn(source, port))[:14 + 13]))
kind("a length that is too long", lambda source, port: ether / IP(src=source, dst=target, len=65_000) / TCP(sport=port, dport=served))
kind("a length that is too short", lambda source, port: ether / IP(src=source, dst=target, len=21) / TCP(sport=port, dport=served))
kind("a header of no words", lambda source, port: ether / IP(src=source, dst=target, ihl=0) / TCP(sport=port, dport=served))
kind("a header of TCP of no words", lambda source, port: ether / syn(source, port, dataofs=0))
kind("a tag", lambda source, port: Ether(dst=hardware) / Dot1Q(vlan=7) / syn(source, port))
kind("two tags", lambda source, port: Ether(dst=hardware) / Dot1AD(vlan=7) / Dot1Q(vlan=8) / syn(source, port))
kind("an error that quotes garbage", garbage)
kind("an error that quotes too little", short_quote)
kind("a datagram with a wrong length", lambda source, port: ether / IP(src=source, dst=target) / UDP(sport=port, dport=9, len=3))
kind("a chain of extensions", extended)
kind("a wrong version", lambda source, port: ether / IP(src=source, dst=target, version=7) / TCP(sport=port, dport=served))
kind("no payload", lambda source, port: ether / IP(src=source, dst=target, proto=6))
kind("a land attack", lambda source, port: ether / IP(src=target, dst=target) / TCP(sport=served, dport=served, flags="S"))

for name, made in frames.items():
    for one in made:
        sendp(one, iface=interface)
    print(len(made), name)
