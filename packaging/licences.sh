#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# licences.sh SRC: what is linked into the static binary and under which terms, as Debian's packages have it. SRC is fetch-src.sh's
# folder. Fails where one of them says nothing.
set -eu

section() {
	[ -s "$2" ] || { echo "licences.sh: $1: $2 is not there" >&2; exit 1; }
	printf '\n%s\n%s\n\n' "$(printf '%.0s=' $(seq 100))" "$1"
	cat "$2"
}

cat <<'END'
Third-party software in the static lbd

lbd itself is under the Apache License, Version 2.0. Linked into its static binary are the following, each under its own terms as
Debian's package of it states them. Those texts speak of whole source packages: their test programs, build systems and packaging are
not in the binary. mbedTLS is used under the Apache License, its text is that of lbd's own. From GCC come the start files and parts of
libgcc, under the GPL, version 3 or later, with the GCC Runtime Library Exception, version 3.1, by which they ask nothing of what is
linked with them.
END
for name in musl libuv1 cjson mbedtls libpcap libyaml; do
	for folder in "$1/$name"-*/; do
		section "$(basename "$folder")" "${folder}debian/copyright"
	done
done
section uthash "${UTHASH:-/usr/share/doc/uthash-dev/copyright}"
