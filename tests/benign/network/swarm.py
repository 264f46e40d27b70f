"""Peers of a file in the world: SEEDS that have it, and DEAD that have gone, of whom a tracker knows all the same.

    swarm.py FOLDER SEEDS DEAD"""

import hashlib
import os
import random
import socket
import struct
import subprocess
import sys

FOLDER, SEEDS, DEAD = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
PIECE = 1 << 16
PORT = 6881
PR_SET_PDEATHSIG, SIGKILL = 1, 9
libc = __import__("ctypes").CDLL(None)


def encoded(value):
    if isinstance(value, dict):
        return b"d" + b"".join(encoded(key) + encoded(value[key]) for key in sorted(value)) + b"e"
    if isinstance(value, int):
        return b"i%de" % value
    value = value.encode() if isinstance(value, str) else value
    return b"%d:%s" % (len(value), value)


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


content = random.Random(1).randbytes(128 * PIECE)
pieces = b"".join(hashlib.sha1(content[at : at + PIECE]).digest() for at in range(0, len(content), PIECE))
info = {"name": "shared", "length": len(content), "piece length": PIECE, "pieces": pieces}
torrent = f"{FOLDER}/shared.torrent"
write(torrent, encoded({"announce": "http://site0.test/announce", "info": info}))

alive = [f"11.3.0.{number}" for number in range(1, SEEDS + 1)]
dead = [f"12.3.{number // 250}.{number % 250 + 1}" for number in range(DEAD)]
everybody = alive + dead
random.Random(2).shuffle(everybody)
peers = b"".join(socket.inet_aton(address) + struct.pack("!H", PORT) for address in everybody)
write(f"{FOLDER}/site/announce", encoded({"interval": 60, "peers": peers}))

seeds = []
for address in alive:
    write(f"{FOLDER}/seeds/{address}/shared", content)
    command = ["aria2c", "--no-conf", f"--dir={FOLDER}/seeds/{address}", f"--interface={address}", f"--listen-port={PORT}"]
    command += ["--enable-dht=false", "--bt-seed-unverified", "--seed-ratio=0", "--bt-exclude-tracker=*", "--quiet", torrent]
    seeds.append(subprocess.Popen(command, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, SIGKILL)))
for address in alive:
    # Until it takes connections.
    while True:
        with socket.socket() as tried:
            if tried.connect_ex((address, PORT)) == 0:
                break
write(f"{FOLDER}/swarm", b"")
for seed in seeds:
    seed.wait()
