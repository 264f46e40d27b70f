"""Says a line to whoever connects to one of these ports, of either family; and one when it is ready."""

import selectors
import socket
import sys

events = selectors.DefaultSelector()
for port in sys.argv[1:]:
    listener = socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    listener.setblocking(False)
    events.register(listener, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in events.select():
        try:
            connection, _ = key.fileobj.accept()
        except OSError:
            continue
        with connection:
            try:
                connection.sendall(b"hello\n")
            except OSError:
                pass
