"""The world of a test: a name server, and web servers at whatever address of this network they are asked.

    world.py FOLDER

Names end in `.test`, and what is before the number says what comes of them:

    site7        a web server of its own
    npm, pypi    a registry, at so many addresses as such have, in turns; so is apt
    dead7        nobody is there, and nothing comes back
    refused7     there is a host, and at port 81 it refuses
    blocked7     0.0.0.0, as name servers answer that block advertisements
    gone7        there is no such name

Files are served from FOLDER, by name and path (`site`, without its number), and /hello everywhere; FOLDER/ready is made once all
are. Whoever asks for /said/WORD has FOLDER/WORD made."""

import http.server
import itertools
import os
import re
import socket
import socketserver
import struct
import sys
import threading

FOLDER = sys.argv[1]
NAME_SERVER = "11.0.0.53"
# How many addresses a registry has: that of npm twelve, those of pip and apt four.
REGISTRIES = {"npm": 12, "pypi": 4, "apt": 4}
turns = {name: itertools.count() for name in REGISTRIES}


def addresses(name):
    """None where there is no such name."""
    found = re.fullmatch(r"([a-z]+)(\d*)\.test", name)
    kind, number = (found[1], int(found[2] or 0)) if found else ("gone", 0)
    host = f"{number // 250}.{number % 250 + 1}"
    if kind in REGISTRIES:
        place = list(REGISTRIES).index(kind)
        count, turn = REGISTRIES[kind], next(turns[kind])
        return [f"11.7.{place}.{(turn + step) % count + 1}" for step in range(count)]
    places = {"site": "11.1.", "refused": "11.2.", "dead": "12.1."}
    if kind == "blocked":
        return ["0.0.0.0"]
    return [places[kind] + host] if kind in places else None


def resolve(question):
    name, at = [], 12
    while question[at]:
        name.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    (kind,) = struct.unpack_from("!H", question, at + 1)
    A, NO_SUCH_NAME = 1, 3
    found = addresses(".".join(name).lower())
    records = [socket.inet_aton(address) for address in found or []] if kind == A else []
    flags = 0x8180 | (NO_SUCH_NAME if found is None else 0)
    head = question[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question[12 : at + 5]
    return head + b"".join(b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + record for record in records)


def serve_names():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((NAME_SERVER, 53))
        while True:
            question, peer = server.recvfrom(1500)
            server.sendto(resolve(question), peer)


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A browser opens connections before it has anything to ask for.
    timeout = 60

    def translate_path(self, path):
        site = re.sub(r"\d*\.test(:\d+)?$", "", self.headers["Host"] or "")
        return super().translate_path(f"/{site}{path}")

    def do_GET(self):
        said = re.match(r"/said/([a-z]+)", self.path)
        if said:
            made(said[1])
        if said or self.path.startswith("/hello"):
            self.answer(b"hello")
        else:
            super().do_GET()

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        # What is asked for again is fetched again, from whatever site.
        self.send_header("Cache-Control", "no-store")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def made(name):
    open(os.path.join(FOLDER, name), "w").close()


os.chdir(FOLDER)
web = Server(("0.0.0.0", 80), lambda *given: Handler(*given, directory=FOLDER))
threading.Thread(target=web.serve_forever, daemon=True).start()
names = threading.Thread(target=serve_names)
names.start()
made("ready")
names.join()
