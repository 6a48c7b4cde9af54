# SPDX-License-Identifier: Apache-2.0
"""CustomResourceDefinitions of MetalLB's and OpenELB's kinds, as far as lbd reads and writes them: structural schemas, so that the
server prunes what they do not name and fills in defaults, and a status of its own."""

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def of(required=(), **properties):
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def many(items):
    return {"type": "array", "items": items}


TEXT, FLAG, NUMBER = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "format": "int64"}
NO, YES = {**FLAG, "default": False}, {**FLAG, "default": True}
TEXTS, MAP = many(TEXT), {"type": "object", "additionalProperties": TEXT}
SELECTORS = many(of(matchLabels=MAP, matchExpressions=many(of(["key", "operator"], key=TEXT, operator=TEXT, values=TEXTS))))
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

METALLB = {  # plural: kind, {version: spec}, status; the first version is stored
    "ipaddresspools": ("IPAddressPool", {"v1beta1": of(
        ["addresses"], addresses=TEXTS, autoAssign=YES, avoidBuggyIPs=NO,
        serviceAllocation=of(priority=NUMBER, namespaces=TEXTS, namespaceSelectors=SELECTORS, serviceSelectors=SELECTORS))},
        of(["assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"],
           assignedIPv4=NUMBER, assignedIPv6=NUMBER, availableIPv4=NUMBER, availableIPv6=NUMBER)),
    "addresspools": ("AddressPool", {"v1beta1": of(
        ["addresses", "protocol"], addresses=TEXTS, protocol=TEXT, autoAssign=YES, bgpAdvertisements=many(of(
            aggregationLength=NUMBER, aggregationLengthV6=NUMBER, localPref=NUMBER, communities=TEXTS)))}, of()),
    "l2advertisements": ("L2Advertisement", {"v1beta1": of(
        ipAddressPools=TEXTS, ipAddressPoolSelectors=SELECTORS, nodeSelectors=SELECTORS, serviceSelectors=SELECTORS,
        interfaces=TEXTS)}, of()),
    "bgpadvertisements": ("BGPAdvertisement", {"v1beta1": of(
        ipAddressPools=TEXTS, ipAddressPoolSelectors=SELECTORS, nodeSelectors=SELECTORS, serviceSelectors=SELECTORS, peers=TEXTS,
        communities=TEXTS, localPref=NUMBER, aggregationLength={**NUMBER, "default": 32},
        aggregationLengthV6={**NUMBER, "default": 128})}, of()),
    "bgppeers": ("BGPPeer", {"v1beta2": ANYTHING, "v1beta1": ANYTHING}, of()),
    "bfdprofiles": ("BFDProfile", {"v1beta1": of(
        receiveInterval=NUMBER, transmitInterval=NUMBER, detectMultiplier=NUMBER, echoInterval=NUMBER, echoMode=FLAG,
        passiveMode=FLAG, minimumTtl=NUMBER)}, of()),
    "communities": ("Community", {"v1beta1": of(communities=many(of(name=TEXT, value=TEXT)))}, of()),
}
OPENELB = {
    "eips": ("Eip", {"v1alpha2": of(
        ["address"], address=TEXT, protocol=TEXT, interface=TEXT, disable=FLAG, usingKnownIPs=FLAG, priority=NUMBER,
        namespaces=TEXTS, namespaceSelector=MAP)},
        of(occupied=FLAG, usage=NUMBER, poolSize=NUMBER, used=MAP, firstIP=TEXT, lastIP=TEXT, ready=FLAG, v4=FLAG)),
    "bgpconfs": ("BgpConf", {"v1alpha2": ANYTHING}, ANYTHING),
    "bgppeers": ("BgpPeer", {"v1alpha2": ANYTHING}, ANYTHING),
}


def definition(group, scope, plural, kind, specs, status):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": scope,
                     "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
                     "versions": [{"name": version, "served": True, "storage": i == 0, "subresources": {"status": {}},
                                   "schema": {"openAPIV3Schema": of(spec=spec, status=status)}}
                                  for i, (version, spec) in enumerate(specs.items())]}}


def definitions():
    for group, scope, kinds in (("metallb.io", "Namespaced", METALLB), ("network.kubesphere.io", "Cluster", OPENELB)):
        for plural, (kind, specs, status) in kinds.items():
            yield definition(group, scope, plural, kind, specs, status)
