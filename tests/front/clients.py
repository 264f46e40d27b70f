"""Plays clients of a host that do no harm: each line on standard output is what was done, and how often.

clients.py web TARGET PORT COUNT        so many connections from one address, as behind a NAT
clients.py login TARGET PORT COUNT      so many to one port, each after the last, as who guesses passwords does
clients.py check TARGET COUNT PORT...   a checker of health: each port, so many times
clients.py datagrams TARGET PORT COUNT  a datagram from each of so many ports of 200 addresses, as peers of P2P send
"""

import asyncio
import socket
import sys

mode, target = sys.argv[1:3]
numbers = [int(text) for text in sys.argv[3:]]
BATCH = 200


async def one(port, done):
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(target, port), 10)
        if await asyncio.wait_for(reader.read(64), 10):
            done.append(port)
        writer.close()
        await writer.wait_closed()
    except (OSError, asyncio.TimeoutError):
        pass


async def connect(ports, batch):
    done = []
    for begin in range(0, len(ports), batch):
        await asyncio.gather(*(one(port, done) for port in ports[begin:begin + batch]))
    print(len(done))


if mode == "web":
    port, count = numbers
    asyncio.run(connect([port] * count, BATCH))
elif mode == "login":
    port, count = numbers
    asyncio.run(connect([port] * count, 1))
elif mode == "check":
    count, *ports = numbers
    asyncio.run(connect(ports * count, 1))
elif mode == "datagrams":
    port, count = numbers
    for number in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((f"203.0.113.{number % 60 + 1}", 30_000 + number))
            sender.sendto(b"peer", (target, port))
    print(count)
