# SPDX-License-Identifier: Apache-2.0
"""image.py BINARY ARCH VERSION OUT [NAME=FILE...]: an OCI image layout of one static binary and of files for /usr/share/doc/lbd, as a
tar.  The same input gives the same bytes.

No daemon is needed to make it; `podman load`, `skopeo copy oci-archive:OUT ...` and `ctr image import OUT` read it
(OCI image specification 1.0: image-layout, manifest, config).
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_ARCH = {"armhf": "arm"}


def tar(files):
    """{name: (bytes, mode)} as a tar without any time or owner; None instead of bytes is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
        for name, (data, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(data or b"")
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            t.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def image(binary, arch, version, docs):
    """The layout's files."""
    blobs = {}

    def blob(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = (data, 0o644)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def document(value, media_type):
        return blob(json.dumps(value).encode(), media_type)

    root = tar({"etc": (None, 0o755), "etc/lbd": (None, 0o755), "run": (None, 0o755), "run/lbd": (None, 0o755),
                "var": (None, 0o755), "var/lib": (None, 0o755), "var/lib/lbd": (None, 0o700),
                "usr": (None, 0o755), "usr/bin": (None, 0o755), "usr/bin/lbd": (binary, 0o755),
                "usr/share": (None, 0o755), "usr/share/doc": (None, 0o755), "usr/share/doc/lbd": (None, 0o755),
                **{f"usr/share/doc/lbd/{name}": (data, 0o644) for name, data in docs.items()}})
    layer = blob(gzip.compress(root, 9, mtime=0), LAYER)
    config = document({
        "architecture": OCI_ARCH.get(arch, arch), "os": "linux",
        "config": {"Entrypoint": ["/usr/bin/lbd"], "Cmd": ["run"], "Labels": {
            "org.opencontainers.image.title": "lbd", "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(root).hexdigest()}"]},
    }, CONFIG)
    manifest = document({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}, MANIFEST)
    # The second is what containerd, and k3s's folder of images, take for the name.
    manifest["annotations"] = {"org.opencontainers.image.ref.name": version, "io.containerd.image.name": f"docker.io/library/lbd:{version}"}
    index = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
    return {"oci-layout": (b'{"imageLayoutVersion": "1.0.0"}', 0o644), "index.json": (index, 0o644), **blobs}


def main():
    binary, arch, version, out, *docs = sys.argv[1:]
    docs = {name: Path(file).read_bytes() for name, file in (d.split("=", 1) for d in docs)}
    Path(out).write_bytes(tar(image(Path(binary).read_bytes(), arch, version, docs)))


main()
