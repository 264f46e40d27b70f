"""Programs of a workload, for the tests of what it may reach: prints what came of each thing that it was told to do.

Started in a cgroup, it makes a network of its own, whose addresses are all its own. Commands come line by line."""

import collections
import errno
import fcntl
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import threading

libc = __import__("ctypes").CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
# Where connections are slow, those of a whole test are open at a time.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
assert libc.unshare(CLONE_NEWNET) == 0
for command in ["link set lo up"] + [f"addr add {address} dev lo" for address in sys.argv[1:]]:
    subprocess.run(["busybox", "ip", *command.split()], check=True)

TENTATIVE = 0x40
# The kernel makes sure of an IPv6 address before it may be used.
while any(int(line.split()[4], 16) & TENTATIVE for line in open("/proc/self/net/if_inet6")):
    pass

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
kept = {}


def family(address):
    return FAMILIES[6 if ":" in address else 4]


def name(error):
    return errno.errorcode.get(error.errno, str(error)) if isinstance(error, OSError) and error.errno else type(error).__name__


def listen(key, kind, address, port):
    made = socket.socket(family(address), getattr(socket, kind))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, int(port)))
    made.settimeout(2)
    if kind == "SOCK_STREAM":
        made.listen()
    kept[key] = made


def own(network):
    """Has all addresses of a network for its own."""
    ip(f"addr add {network} dev lo")


def serve(port):
    """Takes every connection to the port, and ends it."""
    listen(("serve", port), "SOCK_STREAM", "0.0.0.0", port)
    kept["serve", port].settimeout(None)
    # As many as a test has at a time.
    kept["serve", port].listen(4096)

    def accept_all():
        while True:
            kept["serve", port].accept()[0].close()

    threading.Thread(target=accept_all, daemon=True).start()


def make(key, version, kind, protocol="0"):
    kept[key] = socket.socket(FAMILIES[int(version)], getattr(socket, kind), int(protocol))
    kept[key].settimeout(2)


def connect(key, address, port):
    kept[key].connect((address, int(port)))


def disconnect(key):
    assert libc.connect(kept[key].fileno(), bytes(16), 16) == 0


def accept(key, accepted):
    kept[accepted] = kept[key].accept()[0]
    kept[accepted].settimeout(2)


def send(key, text):
    kept[key].send(text.encode())


def send_to(key, text, address, port):
    kept[key].sendto(text.encode(), (address, int(port)))


def receive(key):
    text, peer = kept[key].recvfrom(100)
    kept["peer"] = peer
    return text.decode() or "the end"


def say(key, *segments):
    kept[key].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for segment in segments:
        kept[key].sendall(bytes.fromhex(segment))


def say_to(key, datagram, address, port):
    kept[key].sendto(bytes.fromhex(datagram), (address, int(port)))


def hear(key, count):
    heard = b""
    while len(heard) < int(count):
        more = kept[key].recv(int(count) - len(heard))
        if not more:
            return "the end"
        heard += more


def answer(key, text):
    kept[key].sendto(text.encode(), kept["peer"])


def silence():
    """Whatever is none of its own addresses is sent to nobody."""
    ip(
        "link add sink type veth",
        "link set sink arp off",
        "link set sink up",
        "link set veth0 arp off",
        "link set veth0 up",
        "route add default dev sink",
        "-6 route add default dev sink",
    )
    # What is sent before the kernel has put its queue in place is lost.
    SIOCGIFFLAGS, IFF_RUNNING = 0x8913, 0x40
    with socket.socket() as any_socket:
        running = 0
        while not running:
            request = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sh14x", b"sink", 0))
            running = struct.unpack("16sh14x", request)[1] & IFF_RUNNING
    ip("link set sink up")
    ETH_P_ALL = 3
    kept["drain"] = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    kept["drain"].bind(("veth0", ETH_P_ALL))
    kept["drain"].setblocking(False)
    kept["arrived"] = set()


def sent():
    """To how many others something has left."""
    while True:
        try:
            packet = kept["drain"].recv(100)
        except BlockingIOError:
            return str(len(kept["arrived"]))
        if packet[0] >> 4 == 4:
            later_fragment = int.from_bytes(packet[6:8]) & 0x1FFF
            if later_fragment:
                continue
            kept["arrived"].add((packet[16:20], packet[22:24]))
        elif packet[6] != socket.IPPROTO_ICMPV6 and packet[24] != 0xFF:
            kept["arrived"].add((packet[24:40], packet[42:44]))


def ip(*commands):
    for command in commands:
        subprocess.run(["busybox", "ip", *command.split()], check=True)


def devices():
    return {name for _, name in socket.if_nameindex()}


def switch(name, value):
    with open("/proc/sys/net/" + name, "w") as file:
        file.write(value)


def lead(other):
    """The process `other` of this kind reaches the world by this one's network. The device here is `port`."""
    # Nobody else has the addresses.
    switch("ipv6/conf/default/accept_dad", "0")
    before = devices()
    ip("link add port type veth")
    (end,) = devices() - before - {"port"}
    ip(
        "link set port address 02:00:00:00:00:01",
        f"link set {end} netns {other}",
        "addr add 10.9.0.1/24 dev port",
        "addr add fd09::1/64 dev port",
        "link set port up",
    )
    switch("ipv4/ip_forward", "1")
    switch("ipv6/conf/all/forwarding", "1")
    return device()


def device():
    return str(socket.if_nametoindex("port"))


def rewrite(address, other):
    """What is sent to an address goes to another one, as where a service has its own."""
    command = f"iptables -t nat -A OUTPUT -d {address} -j DNAT --to-destination {other}"
    subprocess.run(command.split(), check=True)


def unlead():
    ip("link del port")


def follow():
    """The other end of `lead`."""
    (end,) = (device for device in devices() if device.startswith("veth"))
    if end != "veth0":
        ip(f"link set {end} name veth0")
    switch("ipv6/conf/veth0/accept_dad", "0")
    ip(
        "link set veth0 up",
        "addr add 10.9.0.2/24 dev veth0",
        "addr add fd09::2/64 dev veth0",
        "route add default via 10.9.0.1",
        "-6 route add default via fd09::1",
    )


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frames(address, first, last, device="veth0"):
    """A SYN to each port, by a packet socket. Says how many the kernel took."""
    taken = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as made:
        made.bind((device, 0))
        ends = socket.inet_aton("10.9.0.2") + socket.inet_aton(address)
        for port in range(int(first), int(last) + 1):
            segment = struct.pack("!HHIIBBHHH", 4000, port, 1, 0, 0x50, 2, 1024, 0, 0)
            pseudo = ends + struct.pack("!HH", 6, len(segment))
            segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 7, 0, 64, 6, 0) + ends
            header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
            ethernet = bytes.fromhex("020000000001") + bytes(6) + b"\x08\x00"
            taken += made.send(ethernet + header + segment) > 0
    return str(taken)


def allow_ping():
    """Everybody may make sockets for echo requests."""
    switch("ipv4/ping_group_range", "0 2147483647")


def pid():
    return str(os.getpid())


def try_port(address, port):
    with socket.socket(family(address)) as tried:
        tried.setblocking(False)
        error = tried.connect_ex((address, int(port)))
        if error == errno.EINPROGRESS:
            # Not `select`, which takes 1,024 descriptors at most.
            waited = select.poll()
            waited.register(tried, select.POLLOUT)
            waited.poll(0)
            error = tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            kept[address, port] = tried.dup()
        return errno.errorcode.get(error, "ok")


def scan(address, first, last):
    """Connects to each port, without waiting. Says how often it came to what."""
    found = collections.Counter(try_port(address, port) for port in range(int(first), int(last) + 1))
    return ",".join(f"{what}:{found[what]}" for what in sorted(found))


def sweep(network, first, last, port):
    """The same, with the port of each address."""
    addresses = (network + str(number) for number in range(int(first), int(last) + 1))
    found = collections.Counter(try_port(address, port) for address in addresses)
    return ",".join(f"{what}:{found[what]}" for what in sorted(found))


def run(*program):
    """Runs a program to its end, and says how it ended."""
    quiet = subprocess.DEVNULL
    return str(subprocess.run(program, stdin=quiet, stdout=quiet, stderr=quiet, timeout=120).returncode)


def start(*program):
    """Starts a program, which goes on until this one ends."""
    PR_SET_PDEATHSIG, SIGKILL = 1, 9
    quiet = subprocess.DEVNULL
    ends_with_us = lambda: libc.prctl(PR_SET_PDEATHSIG, SIGKILL)
    kept[program] = subprocess.Popen(program, stdin=quiet, stdout=quiet, stderr=quiet, preexec_fn=ends_with_us)


def fork(*command):
    """Does it in a process of its own."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, (globals()[command[0]](*command[1:]) or "ok").encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        result = told.read()
    os.wait()
    return result


def move(cgroup):
    with open(cgroup + "/cgroup.procs", "w") as procs:
        procs.write("0")


def become(uid):
    """Another user by its real id alone, who still may do all that is done here."""
    os.setresuid(int(uid), 0, 0)


def mtu(size):
    ip(f"link set lo mtu {size}")


def send_large(key, size, address, port):
    kept[key].sendto(b"x" * int(size), (address, int(port)))


def receive_large(key):
    return str(len(kept[key].recvfrom(65536)[0]))


def send_fragment(key, address, port, offset):
    """A UDP packet's first fragment, or with an offset a later one, with a header of its own making."""
    data = struct.pack("!HHHH", 1000, int(port), 24, 0) + b"x" * 8
    where = int(offset) // 8 | 0x2000
    own = socket.inet_aton("10.1.0.1")
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 7, where, 64, 17, 0, own, socket.inet_aton(address))
    kept[key].sendto(header + data, (address, 0))


def send_fast(key, text, address, port):
    """Connects by sending."""
    kept[key].setblocking(True)
    kept[key].sendto(text.encode(), socket.MSG_FASTOPEN, (address, int(port)))


def passed(key, cgroup, connected, address, port):
    """Takes over a socket that a process in another cgroup has made, and perhaps connected."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        move(cgroup)
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if connected == "connected":
            made.connect((address, int(port)))
        socket.send_fds(theirs, [b"x"], [made.fileno()])
        os._exit(0)
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    os.waitpid(child, 0)
    kept[key] = socket.socket(fileno=descriptors[0])
    kept[key].settimeout(2)


def uring(operation, descriptor, address, length, offset):
    """One operation by io_uring."""
    import ctypes
    import mmap

    parameters = ctypes.create_string_buffer(120)
    ring = libc.syscall(425, 1, parameters)
    if ring < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
    u32 = lambda at: struct.unpack_from("I", parameters, at)[0]
    queue, done, entries = (
        mmap.mmap(ring, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=at)
        for size, at in ((4096, 0), (4096, 0x8000000), (4096, 0x10000000))
    )
    entries[:64] = struct.pack("BBHiQQI", operation, 0, 0, descriptor, offset, address, length).ljust(64, b"\0")
    queue[u32(64) : u32(64) + 4] = struct.pack("I", 0)
    queue[u32(44) : u32(44) + 4] = struct.pack("I", 1)
    if libc.syscall(426, ring, 1, 1, 1, None, 0) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_enter")
    result = struct.unpack_from("i", done, u32(100) + 8)[0]
    os.close(ring)
    if result < 0:
        raise OSError(-result, "io_uring")


def uring_make(family, kind, protocol):
    """A socket by io_uring."""
    IORING_OP_SOCKET = 45
    uring(IORING_OP_SOCKET, int(family), 0, int(protocol), int(kind))


def socket_address(address, port):
    import ctypes

    packed = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port)) + socket.inet_aton(address)
    return ctypes.create_string_buffer(packed, 16)


def uring_connect(key, address, port):
    import ctypes

    name = socket_address(address, port)
    kept[key].setblocking(True)
    uring(16, kept[key].fileno(), ctypes.addressof(name), 0, 16)


def uring_send(key, text, address, port):
    import ctypes

    name, data = socket_address(address, port), ctypes.create_string_buffer(text.encode())
    part = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(data), len(text)), 16)
    message = struct.pack("QIIQQQQQ", ctypes.addressof(name), 16, 0, ctypes.addressof(part), 1, 0, 0, 0)
    message = ctypes.create_string_buffer(message, len(message))
    uring(9, kept[key].fileno(), ctypes.addressof(message), 1, 0)


print("ready", flush=True)
for line in sys.stdin:
    command, *arguments = line.split()
    try:
        result = globals()[command](*arguments) or "ok"
    except Exception as error:
        result = name(error)
    print(result, flush=True)
