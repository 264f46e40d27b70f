"""What benchmarks have a workload do, beside what network.py has."""

import json
import socket
import subprocess
import threading
import time


def throughput(address, seconds):
    """Bits a second that arrive at `iperf3 -s`, which may not listen yet."""
    while True:
        command = ["iperf3", "-J", "-c", address, "-t", seconds]
        said = json.loads(subprocess.run(command, stdout=subprocess.PIPE).stdout)
        if "sum_received" in said["end"]:
            return str(said["end"]["sum_received"]["bits_per_second"])


def until_connected(address, port):
    """Tries until it may. Says when that was, in ns of CLOCK_MONOTONIC."""
    while True:
        with socket.socket(family(address)) as tried:
            if tried.connect_ex((address, int(port))) == 0:
                return str(time.monotonic_ns())


def until_cut(key, served):
    """Sends on a connection until no more arrives. Says when the last did."""
    kept[key].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    kept[served].settimeout(0.5)
    over = threading.Event()

    def send_on():
        while not over.wait(0.0005):
            kept[key].send(b"x")

    sender = threading.Thread(target=send_on)
    sender.start()
    last = 0
    try:
        while kept[served].recv(4096):
            last = time.monotonic_ns()
    except TimeoutError:
        pass
    over.set()
    sender.join()
    return str(last)


