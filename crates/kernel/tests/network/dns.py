"""What tests of names have a workload do, beside what network.py has: it asks, and a name server of the test's answers."""

import socket
import struct


def labels(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def ask(key, name, server, number="7"):
    """Asks for an address by a datagram."""
    message = struct.pack("!6H", int(number), 0x100, 1, 0, 0, 0) + labels(name) + struct.pack("!HH", 1, 1)
    kept[key].sendto(message, (server, 53))


def record(said, ttl):
    """An address, or the name that the one before stands for."""
    if ":" in said:
        kind, data = 28, socket.inet_pton(socket.AF_INET6, said)
    elif said.replace(".", "").isdigit():
        kind, data = 1, socket.inet_aton(said)
    else:
        kind, data = 5, labels(said)
    # The question's name is pointed at.
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, int(ttl), len(data)) + data


def answer_from(key, ttl, number, *said):
    """Answers the question that has arrived, as one of another number where that is not `same`."""
    asked, peer = kept[key].recvfrom(512)
    number = asked[:2] if number == "same" else struct.pack("!H", int(number))
    flags = b"\x81\x80"
    message = number + flags + struct.pack("!4H", 1, len(said), 0, 0) + asked[12:]
    kept[key].sendto(message + b"".join(record(one, ttl) for one in said), peer)


def resolve(client, server, name, address, *said):
    """Asks, answers and hears the answer."""
    ask(client, name, address)
    answer_from(server, "300", "same", *said)
    kept[client].recv(512)
