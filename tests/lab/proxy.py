# SPDX-License-Identifier: Apache-2.0
"""The laboratory's stand-in for kube-proxy: nftables DNAT on every node, driven by the API's Services and EndpointSlices.

    proxy.py CONTROL-SOCKET NODE=NAMESPACE...

It serves status.loadBalancer.ingress addresses as kube-proxy does: DNAT to a random ready endpoint, masqueraded unless
externalTrafficPolicy is Local; Local without an endpoint on the node drops.  It lists and watches by kubesim's
control socket, which no fault reaches.
"""

import http.client
import json
import subprocess
import sys
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from kubesim import ControlConnection  # noqa: E402

CONTROL, NODES = sys.argv[1], dict(a.split("=", 1) for a in sys.argv[2:])
KINDS = {"services": "/api/v1/services", "slices": "/apis/discovery.k8s.io/v1/endpointslices"}
state = {kind: {} for kind in KINDS}
changed = threading.Event()
lock = threading.Lock()


def key(obj):
    return obj["metadata"]["namespace"] + "/" + obj["metadata"]["name"]


def get(path, timeout):
    connection = ControlConnection(CONTROL, timeout)
    connection.request("GET", path)
    return connection.getresponse()


def take(kind, event):
    with lock:
        if event["type"] in ("ADDED", "MODIFIED"):
            state[kind][key(event["object"])] = event["object"]
        elif event["type"] == "DELETED":
            state[kind].pop(key(event["object"]), None)
    changed.set()


def follow(kind, path):
    while True:
        try:
            listed = json.load(get(path, 10))
            with lock:
                state[kind] = {key(o): o for o in listed.get("items") or []}
            changed.set()
            for line in get(f"{path}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}", 300):
                take(kind, json.loads(line))
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            time.sleep(0.1)


def endpoints(service):
    """(node, address, {port name: port}) of each ready endpoint."""
    out = []
    for s in state["slices"].values():
        m = s["metadata"]
        if m["namespace"] != service["metadata"]["namespace"]:
            continue
        if (m.get("labels") or {}).get("kubernetes.io/service-name") != service["metadata"]["name"]:
            continue
        ports = {p.get("name", ""): p["port"] for p in s.get("ports") or []}
        for e in s.get("endpoints") or []:
            if (e.get("conditions") or {}).get("ready", True):
                out += [(e.get("nodeName"), a, ports) for a in e["addresses"]]
    return out


def rules(node):
    nat, masquerade, drop = [], [], []
    for s in state["services"].values():
        local = s["spec"].get("externalTrafficPolicy") == "Local"
        for ingress in (s.get("status", {}).get("loadBalancer", {}) or {}).get("ingress") or []:
            vip = ingress.get("ip", "")
            if ":" in vip or not vip:
                continue
            for port in s["spec"]["ports"]:
                proto = port.get("protocol", "TCP").lower()
                ends = [(a, p.get(port.get("name", ""))) for n, a, p in endpoints(s) if not local or n == node]
                ends = [(a, p) for a, p in ends if p]
                match = f"ip daddr {vip} {proto} dport {port['port']}"
                if not ends:
                    drop.append(f"{match} drop")
                    continue
                to = ", ".join(f"{i} : {a} . {p}" for i, (a, p) in enumerate(ends))
                nat.append(f"{match} {'' if local else 'meta mark set 1 '}"
                           f"dnat to numgen random mod {len(ends)} map {{ {to} }}")
    masquerade.append("meta mark 1 masquerade")
    text = ["table ip lbdproxy { }", "delete table ip lbdproxy", "table ip lbdproxy {",
            " chain refuse { type filter hook prerouting priority raw; policy accept;", *drop, " }",
            " chain balance { type nat hook prerouting priority dstnat; policy accept;", *nat, " }",
            " chain hide { type nat hook postrouting priority srcnat; policy accept;", *masquerade, " }", "}"]
    return "\n".join(text) + "\n"


def main():
    for kind, path in KINDS.items():
        threading.Thread(target=follow, args=(kind, path), daemon=True).start()
    last = {}
    while True:
        changed.wait()
        changed.clear()
        for node, ns in NODES.items():
            with lock:
                text = rules(node)
            if last.get(node) == text:
                continue
            r = subprocess.run(["ip", "netns", "exec", ns, "nft", "-f", "-"], input=text, text=True, capture_output=True)
            if r.returncode == 0:
                last[node] = text
            else:
                print(r.stderr, text, flush=True)


main()
