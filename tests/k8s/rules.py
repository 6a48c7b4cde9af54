# SPDX-License-Identifier: Apache-2.0
"""packaging/rbac.yaml: its roles, one right at a time, and the commands in its comments that bind the optional ones."""

import contextlib
import shlex

import yaml

from apiserver import ROOT
from lab import wait_for

TEXT = (ROOT / "packaging/rbac.yaml").read_text()
DOCUMENTS = [d for d in yaml.safe_load_all(TEXT) if d]
ROLES = [d for d in DOCUMENTS if d["kind"] in ("Role", "ClusterRole")]
BOUND = {(d["roleRef"]["kind"], d["roleRef"]["name"]) for d in DOCUMENTS if d["kind"] in ("RoleBinding", "ClusterRoleBinding")}
CORE = [r for r in ROLES if (r["kind"], r["metadata"]["name"]) in BOUND]
# One right of each optional role, in metallb-system.
OPTIONAL = [("list", "metallb.io", "ipaddresspools", None), ("list", "", "configmaps", "config"), ("list", "", "namespaces", None),
            ("get", "", "secrets", "tor1")]
BIND = [shlex.split(line[1:])[1:] for line in TEXT.splitlines() if line.startswith("#   kubectl ")]


def rights(*roles):
    """(the role, API group, resource, verb): each verb of each rule."""
    for role in roles:
        for rule in role["rules"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield role, rule["apiGroups"][0], resource, verb


def optional(name):
    return next(r for r in ROLES if r["metadata"]["name"] == name and r not in CORE)


def without(role, group, resource, verb):
    """The role's rules, but for this one right."""
    out = []
    for rule in role["rules"]:
        for one in rule["resources"]:
            verbs = [v for v in rule["verbs"] if (rule["apiGroups"][0], one, v) != (group, resource, verb)]
            if verbs:
                out.append({**rule, "resources": [one], "verbs": verbs})
    return out


def full_name(group, resource):
    return f"{resource}.{group}" if group else resource


def sentence(verb, full, namespace):
    """What lbd says of a refusal: who asks for one namespace can be given it by a Role, too."""
    where, kind = (f" in namespace {namespace}", "Role or ClusterRole") if namespace else ("", "ClusterRole")
    return f"the API refuses to {verb} {full}{where} (403): no {kind} of lbd's has {verb} on {full}, see rbac.yaml"


@contextlib.contextmanager
def bound(lab):
    """The optional roles are lbd's, by the commands that packaging/rbac.yaml names, until the block ends."""
    code, answer = lab.server.api("POST", "/api/v1/namespaces", {"metadata": {"name": "metallb-system"}})
    assert code in (201, 409), answer
    with contextlib.ExitStack() as undo:
        for command in BIND:
            i = command.index("create")
            lab.kubectl(*command)
            undo.callback(lab.kubectl, *command[:i], "delete", *command[i + 1:i + 3])
        for verb, group, resource, name in OPTIONAL:
            wait_for(f"{verb} {resource} allowed", lambda: lab.server.may(verb, group, resource, "metallb-system", name))
        yield


@contextlib.contextmanager
def lacking(lab, role, group, resource, verb, namespace=None, name=None):
    """Without this one right, until the block ends."""
    lab.server.set_rules(role, without(role, group, resource, verb))
    wait_for("the rule gone", lambda: not lab.server.may(verb, group, resource, namespace, name))
    try:
        yield
    finally:
        lab.server.set_rules(role, role["rules"])
        wait_for("the rule again", lambda: lab.server.may(verb, group, resource, namespace, name))
