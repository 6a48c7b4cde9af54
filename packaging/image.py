# SPDX-License-Identifier: Apache-2.0
"""image.py VERSION OUT ARCH=BINARY... -- [NAME=FILE...]: an OCI image layout of static binaries, one for each processor, and of files
for /usr/share/doc/lbd, as a tar.  The same input gives the same bytes.

No daemon is needed to make it; `podman load`, `skopeo copy oci-archive:OUT ...` and `ctr image import OUT` read it
(OCI image specification 1.0: image-layout, image-index, manifest, config).
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
INDEX = "application/vnd.oci.image.index.v1+json"
OCI_ARCH = {"armhf": "arm"}
VARIANT = {"armhf": {"variant": "v7"}, "arm64": {"variant": "v8"}}


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


def root_of(binary, docs):
    """The one layer."""
    return tar({"etc": (None, 0o755), "etc/lbd": (None, 0o755), "run": (None, 0o755), "run/lbd": (None, 0o755),
                "var": (None, 0o755), "var/lib": (None, 0o755), "var/lib/lbd": (None, 0o700),
                "usr": (None, 0o755), "usr/bin": (None, 0o755), "usr/bin/lbd": (binary, 0o755),
                "usr/share": (None, 0o755), "usr/share/doc": (None, 0o755), "usr/share/doc/lbd": (None, 0o755),
                **{f"usr/share/doc/lbd/{name}": (data, 0o644) for name, data in docs.items()}})


class Layout:
    """The layout's files."""

    def __init__(self):
        self.files = {"oci-layout": (b'{"imageLayoutVersion": "1.0.0"}', 0o644)}

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = (data, 0o644)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def document(self, value, media_type):
        return self.blob(json.dumps(value).encode(), media_type)

    def image(self, binary, arch, version, docs):
        """One processor's manifest, as an index names it."""
        platform = {"architecture": OCI_ARCH.get(arch, arch), "os": "linux", **VARIANT.get(arch, {})}
        root = root_of(binary, docs)
        layer = self.blob(gzip.compress(root, 9, mtime=0), LAYER)
        config = self.document({
            **platform,
            "config": {"Entrypoint": ["/usr/bin/lbd"], "Cmd": ["run"], "Labels": {
                "org.opencontainers.image.title": "lbd", "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0"}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(root).hexdigest()}"]},
        }, CONFIG)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        return {**self.document(manifest, MANIFEST), "platform": platform}

    def tar(self, images, version):
        """Of several images the top is an index of them, so that there is one thing with the name."""
        top = images[0]
        if len(images) > 1:
            top = self.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": images}, INDEX)
        # The second is what containerd, and k3s's folder of images, take for the name.
        names = {"org.opencontainers.image.ref.name": version, "io.containerd.image.name": f"docker.io/library/lbd:{version}"}
        index = json.dumps({"schemaVersion": 2, "manifests": [{**top, "annotations": names}]}).encode()
        return tar({**self.files, "index.json": (index, 0o644)})


def main():
    version, out, *rest = sys.argv[1:]
    at = rest.index("--")
    binaries, docs = (dict(arg.split("=", 1) for arg in args) for args in (rest[:at], rest[at + 1:]))
    docs = {name: Path(file).read_bytes() for name, file in docs.items()}
    layout = Layout()
    images = [layout.image(Path(file).read_bytes(), arch, version, docs) for arch, file in binaries.items()]
    Path(out).write_bytes(layout.tar(images, version))


main()
