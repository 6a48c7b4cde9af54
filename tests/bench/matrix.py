# SPDX-License-Identifier: Apache-2.0
"""Which of the frames that lbd sends move a Linux neighbour's entry at once.

lbd's own frames are taken off the wire while it takes an address and told to a client that had asked; then each is sent again, by
another host, to that client, whose entry for the address is set to another MAC and confirmed 0.1 or 1.5 s before.  A gratuitous
reply to ff:ff:ff:ff:ff:ff, which Linux ignores within its `locktime`, shows that the rig can tell.
"""

import contextlib
import ctypes
import os
import select
import socket
import struct
import time

AGES_S = (0.1, 1.5)
OTHER_MAC = "02:00:0a:59:99:99"
RTMGRP_NEIGH = 4
RTM_NEWNEIGH = 28
NDA_DST, NDA_LLADDR = 1, 2


@contextlib.contextmanager
def inside(ns):
    """Sockets made here are the namespace's."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(path):
        with open(path) as f:
            if libc.setns(f.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        enter(f"/run/netns/{ns}")
        yield
    finally:
        libc.setns(home, 0x40000000)
        os.close(home)


def packet_socket(host, ethertype):
    with inside(host.ns):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        s.bind(("eth0", ethertype))
    return s


def forms(host, mac, ip, seconds):
    """The different frames from mac in ip's name that host sees in that time: {name: frame}."""
    found, end = {}, time.monotonic() + seconds
    six = ":" in ip
    with packet_socket(host, 0x86dd if six else 0x0806) as s:
        while (left := end - time.monotonic()) > 0:
            if not select.select([s], [], [], left)[0]:
                break
            frame = s.recv(256)
            if frame[6:12] != bytes.fromhex(mac.replace(":", "")):
                continue
            to = "all" if frame[0] & 1 else "one"
            if six and frame[54] in (135, 136) and socket.inet_pton(socket.AF_INET6, ip) in (frame[22:38], frame[62:78]):
                if frame[22:38] != bytes(16):
                    found.setdefault(f"{'solicitation' if frame[54] == 135 else 'advertisement'} to {to}", frame)
            elif not six and frame[28:32] == socket.inet_aton(ip):
                found.setdefault(f"{'request' if frame[21] == 1 else 'reply'} to {to}", frame)
    return found


def attributes(data):
    out = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("HH", data)
        if size < 4:
            break
        out[kind & 0x3fff] = data[4:size]
        data = data[(size + 3) & ~3:]
    return out


def moved_ms(neighbours, send, ip, mac, wait_s=1):
    """Sends; how long until the kernel says that ip is at mac, or None."""
    raw = socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    begin = time.monotonic()
    send()
    while (left := begin + wait_s - time.monotonic()) > 0:
        if not select.select([neighbours], [], [], left)[0]:
            return None
        now, data = time.monotonic(), neighbours.recv(1 << 16)
        while len(data) >= 28:
            size, kind = struct.unpack_from("IH", data)
            a = attributes(data[28:size]) if kind == RTM_NEWNEIGH else {}
            if a.get(NDA_DST) == raw and a.get(NDA_LLADDR) == mac:
                return (now - begin) * 1000
            data = data[(size + 3) & ~3:]
    return None


def entry(client, ip):
    """The MAC that the client's kernel has for ip."""
    words = client.run("ip", "neigh", "show", ip, "dev", "eth0").stdout.split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else None


def measure(client, sender, ip, frame, mac, age_s):
    """The time in which the frame moves the client's entry for ip, or None."""
    with inside(client.ns):
        neighbours = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    neighbours.bind((0, RTMGRP_NEIGH))
    with neighbours, packet_socket(sender, 0) as s:
        while True:  # until lbd, which announces the address now and then, has not moved it meanwhile
            client.run("ip", "neigh", "replace", ip, "lladdr", OTHER_MAC, "nud", "reachable", "dev", "eth0")
            time.sleep(age_s)
            if entry(client, ip) == OTHER_MAC:
                break
        while select.select([neighbours], [], [], 0)[0]:
            neighbours.recv(1 << 16)
        return moved_ms(neighbours, lambda: s.send(frame), ip, bytes.fromhex(mac.replace(":", "")))


def ignored_form(ip, mac):
    m, a = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(ip)
    return b"\xff" * 6 + m + bytes.fromhex("0806" "0001080006040002") + m + a + b"\xff" * 6 + a
