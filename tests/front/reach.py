"""Connects from an address to an address and port, and ends well where somebody says something there."""

import socket
import sys

source, target, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in target else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM) as connection:
    connection.settimeout(1.5)
    connection.bind((source, 0))
    try:
        connection.connect((target, port))
        sys.exit(0 if connection.recv(64) else 1)
    except OSError as error:
        sys.exit(f"{error}")
