"""The socket that the server listens on."""

from __future__ import annotations

import os
import socket

import psutil


def send_at_once(port: int) -> None:
    """Let the connections that this process accepts at `port` send what they are given without waiting.

    Streamlit opens the socket with the protocol number 0, by which asyncio does not know it to be TCP, so it leaves
    Nagle's algorithm on: a reply's body waits up to 40 ms until the browser has acknowledged its head, and a page asks
    for a hundred files, six at a time. A connection has the option of the socket that it came in by.
    """
    for connection in psutil.Process().net_connections("tcp"):
        is_ours = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        if is_ours and connection.fd >= 0:  # Windows names no descriptor
            with socket.socket(fileno=os.dup(connection.fd)) as listening:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
