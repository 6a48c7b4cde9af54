# SPDX-License-Identifier: Apache-2.0
"""What other load balancers leave in the API, and stand-ins for what they do on the wire.

    speakers = Speakers(lab, {ip: node}).start()   # MetalLB's, OpenELB's: each node answers ARP with its own MAC
    speakers.stop()                                # and says nothing when it goes
"""

import hashlib
import select
import socket
import threading

from apiserver import MERGE
from lab import Inside

ETH_P_ARP = 0x0806
REQUEST, REPLY = b"\0\1", b"\0\2"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLEANUP = "service.kubernetes.io/load-balancer-cleanup"  # of every cloud provider: servicelb's, kube-vip's
OPENELB_FINALIZER = "finalizer.lb.kubesphere.io/v1alpha1"

KINDS = {  # plural.group -> kind, version, namespaced
    "ipaddresspools.metallb.io": ("IPAddressPool", "v1beta1", True),
    "l2advertisements.metallb.io": ("L2Advertisement", "v1beta1", True),
    "bgppeers.metallb.io": ("BGPPeer", "v1beta2", True),
    "bgpadvertisements.metallb.io": ("BGPAdvertisement", "v1beta1", True),
    "bfdprofiles.metallb.io": ("BFDProfile", "v1beta1", True),
    "communities.metallb.io": ("Community", "v1beta1", True),
    "eips.network.kubesphere.io": ("Eip", "v1alpha2", False),
    "bgpconfs.network.kubesphere.io": ("BgpConf", "v1alpha2", False),
    "bgppeers.network.kubesphere.io": ("BgpPeer", "v1alpha2", False),
    # kubesim has no webhooks; their objects are there to be deleted
    "validatingwebhookconfigurations.admissionregistration.k8s.io": ("ValidatingWebhookConfiguration", "v1", False),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": ("MutatingWebhookConfiguration", "v1", False),
}


def metallb_node(names, ip):
    """Who MetalLB's speakers agree on: the first in the order of sha256(node # ip), compared as bytes."""
    return min(names, key=lambda name: hashlib.sha256(f"{name}#{ip}".encode()).digest())


def define(lab, group):
    """The group's kinds, as its installation defines them."""
    for name, (kind, version, namespaced) in KINDS.items():
        plural, its = name.split(".", 1)
        if its == group:
            lab.must("POST", CRDS, {
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
                "spec": {"group": group, "scope": "Namespaced" if namespaced else "Cluster",
                         "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                         "versions": [{"name": version, "served": True, "storage": True, "subresources": {"status": {}}}]}})


def make(lab, name, namespace, objects):
    """Custom resources of one kind: {name: spec}, or {name: (metadata, spec)}."""
    kind, version, namespaced = KINDS[name]
    plural, group = name.split(".", 1)
    where = f"/namespaces/{namespace}" if namespaced else ""
    for own, spec in objects.items():
        metadata, spec = spec if isinstance(spec, tuple) else ({}, spec)
        lab.must("POST", f"/apis/{group}/{version}{where}/{plural}", {
            "apiVersion": f"{group}/{version}", "kind": kind, "metadata": {"name": own, **metadata}, "spec": spec})


def webhook(lab, name):
    define(lab, "admissionregistration.k8s.io")
    make(lab, "validatingwebhookconfigurations.admissionregistration.k8s.io", "", {name: {}})


def namespace(lab, name):
    lab.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def workload(kind, namespace, name):
    """A DaemonSet or a Deployment, of which only the name matters."""
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"matchLabels": {"a": name}}, "template": {
                "metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": name, "image": "none"}]}}}}


def install(lab, *workloads):
    for w in workloads:
        lab.must("POST", f"/apis/apps/v1/namespaces/{w['metadata']['namespace']}/{w['kind'].lower()}s", w)


def left(lab, name, ips, *, agent, metadata=None, ingress=None, namespace="default", **spec):
    """A Service as another load balancer left it: its metadata, and a status that agent wrote."""
    made = lab.service(name, namespace=namespace, **spec)
    path = f"/api/v1/namespaces/{namespace}/services/{name}"
    if metadata:
        lab.patch(path, {"metadata": metadata})
    status = {"status": {"loadBalancer": {"ingress": ingress or [{"ip": ip} for ip in ips]}}}
    code, answer = lab.server.api("PATCH", path + "/status", status, MERGE, headers={"User-Agent": agent})
    assert code == 200, answer
    return made


class Speakers:
    """MetalLB's and OpenELB's way: a process on each node answers ARP requests for the addresses it is elected for, with the MAC
    of its node. The addresses are on no interface."""

    def __init__(self, lab, owners):
        self.lab, self.owners, self.threads = lab, {ip: n for ip, n in owners.items() if ":" not in ip}, []

    def start(self):
        self.end = threading.Event()
        for node in set(self.owners.values()):
            mine = {socket.inet_aton(ip) for ip, n in self.owners.items() if n is node}
            with Inside(node.ns) as inside:
                s = inside.run(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
            s.bind(("eth0", ETH_P_ARP))
            thread = threading.Thread(target=self._run, args=(s, node, mine), daemon=True)
            thread.start()
            self.threads.append(thread)
        self.lab.stack.callback(self.stop)
        return self

    def stop(self):
        self.end.set()
        for thread in self.threads:
            thread.join()
        self.threads = []

    def _run(self, s, node, mine):
        mac = bytes.fromhex(node.mac.replace(":", ""))
        with s:
            for ip in mine:  # gratuitous, as on gaining an address
                s.send(b"\xff" * 6 + self._arp(mac, REPLY, mac, ip, b"\xff" * 6, ip))
            while not self.end.is_set():
                if not select.select([s], [], [], 0.05)[0]:
                    continue
                frame = s.recv(256)
                if frame[20:22] == REQUEST and frame[38:42] in mine and frame[6:12] != mac:
                    s.send(frame[6:12] + self._arp(mac, REPLY, mac, frame[38:42], frame[22:28], frame[28:32]))

    @staticmethod
    def _arp(source, operation, sender, sender_ip, target, target_ip):
        return source + b"\x08\x06\0\1\x08\0\6\4" + operation + sender + sender_ip + target + target_ip
