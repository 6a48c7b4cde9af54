#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch-src.sh DIR [RELEASE PACKAGE...] - Debian source packages, unpacked into DIR, and DIR/SHA256SUMS
# with the sums of their .dsc files: what was built from.  Without packages: those of the static release.
#
# They are taken from wherever this machine takes its own packages, signatures
# checked by apt with the same keys.  Nothing of the machine's apt state is touched: lists and
# cache are private and thrown away.
# Needs: apt, dpkg-dev.
set -eu

[ $# -ge 1 ] && [ $# -ne 2 ] || { echo "usage: fetch-src.sh DIR [RELEASE PACKAGE...]" >&2; exit 2; }
command -v dpkg-source >/dev/null || { echo "fetch-src.sh: dpkg-source not found (package dpkg-dev)" >&2; exit 1; }
mkdir -p "$1"
DIR=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- trixie musl libuv1 cjson mbedtls libpcap libyaml
RELEASE=$1
shift
[ -e "$DIR/SHA256SUMS" ] || rmdir "$DIR" 2>/dev/null || {
	echo "fetch-src.sh: $DIR holds something else" >&2
	exit 1
}
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
mkdir -p "$TMP/parts" "$TMP/lists/partial" "$TMP/cache/archives/partial" "$TMP/src"

HERE=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$HERE" ] || { echo "fetch-src.sh: /etc/os-release names no release" >&2; exit 1; }

# Stanzas of *.sources that serve Debian's main for this machine's release, as deb-src of $RELEASE.
find /etc/apt/sources.list.d -name '*.sources' -exec sh -c 'for f; do cat "$f"; echo; done' - {} + 2>/dev/null |
	awk -v here="$HERE" -v want="$RELEASE" '
	function flush() {
		if (deb && suite && main && on)
			printf "%s\n", text
		text = ""; deb = suite = main = 0; on = 1
	}
	BEGIN { on = 1 }
	/^[ \t]*$/ { flush(); next }
	/^#/ { next }
	/^Types:/ { deb = 1; text = text "Types: deb-src\n"; next }
	/^Suites:/ { suite = gsub(here, want) }
	/^Components:/ { main = / main( |$)/; $0 = "Components: main" }
	/^Architectures:/ { next }
	/^Enabled: *no/ { on = 0 }
	{ text = text $0 "\n" }
	END { flush() }' > "$TMP/parts/lbd.sources"

# The same from classic one-line lists.
cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
	awk -v here="$HERE" -v want="$RELEASE" '
	/^deb[ \t]/ && / main( |$)/ && gsub("[ \t]" here, " " want) {
		sub(/^deb/, "deb-src"); sub(/ main( .*)?$/, " main"); print
	}' > "$TMP/parts/lbd.list" || true

[ -s "$TMP/parts/lbd.sources" ] || [ -s "$TMP/parts/lbd.list" ] || {
	echo "fetch-src.sh: no Debian $HERE source with component main in /etc/apt" >&2
	exit 1
}

apt_private() {
	apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$TMP/parts" \
		-o Dir::State::Lists="$TMP/lists" -o Dir::Cache="$TMP/cache" \
		-o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root "$@"
}

apt_private update
(cd "$TMP/src" && apt_private source "$@") > "$TMP/log" 2>&1 || {
	cat "$TMP/log" >&2
	exit 1
}

# Whole or not at all: the old tree goes only when the new one is complete.
(cd "$TMP/src" && sha256sum ./*.dsc | sed 's#\./##' > SHA256SUMS)
rm -rf "$DIR"
cp -a "$TMP/src" "$DIR"
cat "$DIR/SHA256SUMS"
