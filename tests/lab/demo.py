# SPDX-License-Identifier: Apache-2.0
"""make demo: three nodes, an API server and a client, as namespaces on this machine; a Service gets an address, the client
reaches it, the announcing node dies, another takes over.  Everything real but the hardware: TLS, kubectl, ARP on the wire."""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import CLIENT_ADDR, FAST, Lab, binary, wait_for  # noqa: E402

COLOUR = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and "NO_COLOR" not in os.environ
BEGIN = time.monotonic()

CONFIG = f"""apiVersion: lbd.io/v1
kind: Config
pools:
- name: shop
  addresses: [10.89.0.100-10.89.0.119]
{FAST}"""

SERVICE = """apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  type: LoadBalancer{extra}
  selector: {{app: {name}}}
  ports: [{{name: http, port: 80, targetPort: 8080}}]
"""

BAD = """apiVersion: lbd.io/v1
kind: Config
pools:
- name: shop
  adresses: [10.89.0.100-10.89.0.119]
- name: rack
  addresses: [10.89.0.200-10.89.0.150]
"""


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def step(text):
    print(f"\n{paint('1;36', f'[{time.monotonic() - BEGIN:5.1f} s]')} {paint('1', text)}", flush=True)


def shown(command, output):
    print(f"  {paint('32', '$ ' + command)}")
    for line in output.rstrip().splitlines():
        print(f"  {line}")
    sys.stdout.flush()


def kubectl(lab, command, stdin=None):
    r = lab.kubectl(*command.split(), input=stdin, check=False)
    shown(f"kubectl {command}", r.stdout + r.stderr)


def failover(lab, ip, owner):
    """Kills the owner and pulls its cable; the time until a request that was first sent afterwards is answered."""
    owner.kill(signal.SIGKILL, wait=False)
    owner.link(False)
    begin = time.monotonic()
    wait_for("curl to work again", lambda: lab.client.curl(ip, timeout=0.3), timeout=20, interval=0.01)
    return time.monotonic() - begin


def demo(lab):
    step("three nodes, each with its own lbd (Leases of 3 s here, 40 s by default)")
    shown(f"{binary().name} version", subprocess.run([binary(), "version"], capture_output=True, text=True).stdout)
    begin = time.monotonic()
    lab.start(config=CONFIG)
    wait_for("a leader", lambda: any((n.dump() or {}).get("leader", {}).get("ready") for n in lab.nodes))
    kubectl(lab, "get nodes")
    kubectl(lab, "-n kube-system get leases")
    print("  a node that starts listens for 3 s before it takes an address that another may have")
    wait_for("the nodes to have listened", lambda: time.monotonic() - begin > 3.5)

    step("a Service of type LoadBalancer")
    begin = time.monotonic()
    kubectl(lab, "apply -f -", SERVICE.format(name="web", extra=""))
    lab.endpoints("web")
    ip = lab.wait_ip("web")
    body = lab.wait_http(ip)
    took = time.monotonic() - begin
    kubectl(lab, "get svc web")

    step(f"the client ({CLIENT_ADDR}) on the same LAN reaches it")
    shown(f"curl http://{ip}/", body)
    print(f"  from `kubectl apply` to the first answer: {took:.2f} s")

    step("who answers?")
    mac = lab.client.neighbour(ip)
    owner = lab.node_of_mac(mac)
    shown(f"ip neigh show {ip}", f"{ip} lladdr {mac}")
    print(f"  that is {paint('1', owner.name)}")
    assert owner.announces(ip)

    step(f"{owner.name} dies: kill -9 of its lbd, and its cable pulled")
    took = failover(lab, ip, owner)
    heir = lab.node_of_mac(lab.client.neighbour(ip))
    print(f"  curl works again after {paint('1', f'{took:.2f} s')}, through {heir.name} ({heir.mac})")
    print("  (found by BFD; by the Lease alone it takes 3 s here)")
    assert heir is not owner

    step("a second Service asks for an address of its own choice")
    begin = time.monotonic()
    kubectl(lab, "apply -f -", SERVICE.format(name="tv", extra="\n  loadBalancerIP: 10.89.0.117"))
    lab.endpoints("tv")
    wait_for("10.89.0.117", lambda: lab.ips("tv") == ["10.89.0.117"])
    body = lab.wait_http("10.89.0.117")
    took = time.monotonic() - begin
    kubectl(lab, "get svc")
    shown("curl http://10.89.0.117/", body)
    print(f"  from `kubectl apply` to the first answer: {took:.2f} s")

    step("deletion frees the address")
    kubectl(lab, "delete svc web")
    wait_for(f"{ip} free", lambda: all(ip not in [v["ip"] for v in n.dump()["vips"]] for n in lab.nodes if n.alive()))
    lab.client.forget(ip)
    print(f"  arping {ip}: {lab.client.arping(ip) or 'nobody answers'}")

    step("a bad configuration is refused, with its line")
    path = lab.dir / "bad.yaml"
    path.write_text(BAD)
    r = subprocess.run([binary(), "check-config", "bad.yaml"], cwd=lab.dir, capture_output=True, text=True)
    shown("lbd check-config bad.yaml", r.stdout + r.stderr + f"(exit {r.returncode})")
    assert r.returncode == 1 and "bad.yaml:5:" in r.stderr
    print()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Lab(config=CONFIG) as lab:
        demo(lab)
    print(paint("1;32", f"done in {time.monotonic() - BEGIN:.1f} s; nothing is left behind"))


main()
