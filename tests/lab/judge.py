# SPDX-License-Identifier: Apache-2.0
"""The judge: follows the API's journal of all writes and finds what must never happen in any moment of its history.

    with History(lab.kubesim) as history: ...; assert history.faults() == []

Every node writes as a user of its own (USERS, start_nodes()), so that the journal tells who wrote.
"""

import threading

USERS = [a for i in range(1, 4) for a in ("--token", f"lbd-token-{i}=lbd-n{i}")]  # for Lab(kubesim_args=)
LEADER = "lbd-leader"


def start_node(lab, node, **kw):
    return node.start(kubeconfig=lab.kubesim.kubeconfig(f"lbd-{node.name}"), **kw)


def start_nodes(lab):
    """Every node under its own name; needs kubesim_args=USERS."""
    for node in lab.nodes:
        start_node(lab, node, ready=False)
    for node in lab.nodes:
        node.wait_synced()
    return lab


def node_of(holder):
    """The node of a leader's identity, <node>_<nonce>."""
    return holder.rpartition("_")[0]


class History:
    """The journal, read as it grows.

    What it finds by itself: one address in the status of two living Services; a Service's status written by a node
    that does not hold the leader Lease; the Lease taken from a holder that still had time.
    """

    def __init__(self, kubesim, lease_ms=2000, period_s=0.01):
        self.kubesim, self.lease_ns, self.period_s = kubesim, int(lease_ms * 1e6), period_s
        self.entries = []
        self.holder, self.renewed_ns = "", 0
        self.served = {}  # identity of a leader -> Service statuses written
        self.terms = []   # (ns, identity), one for each change of the holder
        self._ips, self._found, self._since = {}, [], 0
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self):
        self._read()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(timeout=10)

    def _follow(self):
        while not self._end.wait(self.period_s):
            try:
                self._read()
            except (OSError, AssertionError, ValueError):
                continue  # the API server is being restarted

    def _read(self):
        with self._lock:
            for e in self.kubesim.log(self._since):
                self._since = e["seq"]
                self.entries.append(e)
                if e["resource"] == "services":
                    self._service(e)
                elif e["resource"] == "leases" and e["name"] == LEADER:
                    self._leader(e)

    def sync(self):
        """Everything written up to now is in entries afterwards."""
        self._read()
        return self

    def faults(self):
        """All that was found, in words; at most 20."""
        self.sync()
        return self._found[:20]

    def _fault(self, e, text):
        self._found.append(f"seq {e['seq']} {e['verb']} {e['resource']} {e['name']} by {e['user']}: {text}")

    # -- Services --

    def held(self):
        """{address: name of the Service that has it in its status}"""
        with self._lock:
            return {ip: name for name, ips in self._ips.items() for ip in ips}

    def addresses(self, name):
        with self._lock:
            return list(self._ips.get(name, []))

    def _service(self, e):
        name, was = e["name"], self._ips.get(e["name"], [])
        if e["user"].startswith("lbd-") and e["verb"] != "delete":
            if node_of(self.holder) != e["user"][4:]:
                self._fault(e, f"wrote {e['ips']} while the Lease was {self.holder!r}'s")
            self.served[self.holder] = self.served.get(self.holder, 0) + 1
        if e["verb"] == "delete":
            self._ips.pop(name, None)
            return
        for ip in set(e["ips"]) - set(was):
            others = [n for n, ips in self._ips.items() if ip in ips and n != name]
            if others:
                self._fault(e, f"{ip} is {others[0]}'s already")
        self._ips[name] = e["ips"]

    # -- the leader's Lease --

    def _leader(self, e):
        holder = e["holder"] if e["verb"] != "delete" else ""
        if holder and e["user"].startswith("lbd-") and node_of(holder) != e["user"][4:]:
            self._fault(e, f"wrote another's name, {holder!r}")
        if holder and self.holder and holder != self.holder and e["ns"] - self.renewed_ns < self.lease_ns * 0.98:
            self._fault(e, f"{holder!r} took it from {self.holder!r} after {(e['ns'] - self.renewed_ns) / 1e6:.0f} ms")
        if holder != self.holder:
            self.terms.append((e["ns"], holder))
        self.holder, self.renewed_ns = holder, e["ns"]


def waits(entries, breaks, now_ns, wanted=None):
    """How long each Service went without an address that it could have had: [(name, seconds, breaks met)].

    breaks: moments in ns at which a leader died: a wait is counted from the last of them on.
    wanted: {name: address asked for}; such a Service waits only while its address is free. The others' pool must never
    be full.
    """
    wanted = wanted or {}
    out, living, since, met = [], {}, {}, {}
    marks = sorted([(ns, None) for ns in breaks] + [(e["ns"], e) for e in entries if e["resource"] == "services"],
                   key=lambda m: m[0])

    def end(name, ns):
        if name in since:
            out.append((name, (ns - since.pop(name)) / 1e9, met.pop(name)))

    def judge(ns):
        taken = {ip for ips in living.values() for ip in ips}
        for name, ips in living.items():
            if ips or wanted.get(name) in taken:
                end(name, ns)
            elif name not in since:
                since[name], met[name] = ns, 0

    for ns, e in marks:
        if e is None:
            for name in since:
                since[name] = ns
                met[name] += 1
            continue
        if e["verb"] == "delete" or e.get("type") != "LoadBalancer":
            end(e["name"], ns)
            living.pop(e["name"], None)
        else:
            living[e["name"]] = e["ips"]
        judge(ns)
    for name in list(since):
        end(name, now_ns)
    return out
