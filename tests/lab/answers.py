# SPDX-License-Identifier: Apache-2.0
"""Who answers for which address, at every moment: an asker on the LAN that the tests use for nothing else.

    with Answers(lab.host("w", 51), [ip]) as answers:
        begin = answers.now(); owner.kill()
        answers.wait_other(ip, owner.mac, since=begin, within=1)
        assert answers.longest_silence(ip, since=begin) < 1

It asks each address each PERIOD_S by a broadcast ARP request of its own, so that its host's kernel has no part in it.
"""

import contextlib
import select
import socket
import threading
import time

from lab import Inside, wait_for

PERIOD_S = 0.01
ETH_P_ARP = 0x0806
REQUEST, REPLY = b"\0\1", b"\0\2"


class Answers:
    now = staticmethod(time.monotonic)

    def __init__(self, host, ips):
        self.host, self.ips = host, list(ips)
        self.seen = {ip: [] for ip in self.ips}    # answers to us: [(time, MAC)]
        self.claims = {ip: [] for ip in self.ips}  # frames with sender = target = the address
        self._end, self._inside = threading.Event(), Inside(host.ns)

    def __enter__(self):
        self._socket = self._inside.run(self._open)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(timeout=10)
        self._socket.close()
        self._inside.close()

    @staticmethod
    def _open():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
        s.bind(("eth0", ETH_P_ARP))
        s.setblocking(False)
        return s

    def _request(self, ip):
        mac = bytes.fromhex(self.host.mac.replace(":", ""))
        return (b"\xff" * 6 + mac + b"\x08\x06\0\1\x08\0\6\4" + REQUEST + mac + socket.inet_aton(self.host.addr) + bytes(6) +
                socket.inet_aton(ip))

    def _run(self):
        frames, due = [self._request(ip) for ip in self.ips], self.now()
        while not self._end.is_set():
            if self.now() >= due:
                due = max(due + PERIOD_S, self.now())
                for frame in frames:
                    with contextlib.suppress(OSError):  # no carrier, a full queue
                        self._socket.send(frame)
            select.select([self._socket], [], [], max(0, due - self.now()))
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._take(self._socket.recv(256))

    def _take(self, frame):
        at, operation, mac = self.now(), frame[20:22], frame[22:28].hex(":")
        sender, target = socket.inet_ntoa(frame[28:32]), socket.inet_ntoa(frame[38:42])
        if sender == target and sender in self.claims:
            self.claims[sender].append((at, mac))
        elif operation == REPLY and sender in self.seen and target == self.host.addr:
            self.seen[sender].append((at, mac))

    def of(self, ip, since, until=None):
        """[(time, MAC)] of the answers in that time."""
        return [(at, mac) for at, mac in list(self.seen[ip]) if since <= at and (until is None or at <= until)]

    def macs(self, ip, since, until=None):
        return {mac for _, mac in self.of(ip, since, until)}

    def wait_other(self, ip, mac, since, within):
        """Somebody but mac answers, within that time of since; who, and after how long."""
        found = wait_for(f"another answer for {ip}", lambda: [a for a in self.of(ip, since) if a[1] != mac],
                         since + within + 1 - self.now(), 0.01)[0]
        assert found[0] - since <= within, f"another answered for {ip} after {found[0] - since:.3f} s"
        return found[1], found[0] - since

    def wait_one(self, ip, since, within, stays=1.0):
        """One alone answers, at the latest so long after since, and goes on so; who."""
        def since_when():
            seen = self.of(ip, since)
            last = seen[-1][1] if seen and self.now() - seen[-1][0] < stays else None
            return last, max([at for at, mac in seen if mac != last], default=since)

        def alone():
            mac, at = since_when()
            return mac is not None and self.now() - at >= stays and (mac, at)
        mac, at = wait_for(f"one to answer for {ip}", alone, since + within + stays + 1 - self.now(), 0.02)
        assert at - since <= within, f"two answered for {ip} until {at - since:.3f} s"
        return mac

    def longest_silence(self, ip, since, until=None):
        """The longest time in which nobody answered."""
        until = self.now() if until is None else until
        times = [since, *[at for at, _ in self.of(ip, since, until)], until]
        return max(b - a for a, b in zip(times, times[1:]))

    def look_on(self, seconds, check):
        """check() stays true all that time."""
        end = self.now() + seconds
        while self.now() < end:
            assert check()
            time.sleep(PERIOD_S)

    def never_silent(self, since, longest, until=None):
        """Each address was answered for all the time, but for so long."""
        for ip in self.ips:
            silence = self.longest_silence(ip, since, until)
            assert silence <= longest, f"{ip} was silent for {silence:.3f} s"
