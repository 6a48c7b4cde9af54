#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh [build] [test] [static] [cross] [k8s] [page]: installs the Debian packages that are missing, and says which.
# Installs nothing when nothing is missing.  Needs root then.
set -eu

build="gcc make pkg-config libc6-dev libuv1-dev libcjson-dev libmbedtls-dev libpcap-dev libyaml-dev uthash-dev"
test="clang clang-tidy llvm libclang-rt-14-dev libssl-dev openssl python3 python3-pytest python3-pytest-xdist python3-yaml iproute2 nftables curl
 iputils-arping ndisc6 tcpdump procps git frr bird2 gobgpd exabgp openbgpd keepalived
 prometheus shellcheck systemd debootstrap strace mandoc"
static="cmake ninja-build flex bison dpkg-dev xz-utils"
# the static binary for other processors than this machine's
cross="gcc-aarch64-linux-gnu linux-libc-dev-arm64-cross gcc-arm-linux-gnueabihf linux-libc-dev-armhf-cross qemu-user-static"
# what builds and runs a real API server (tests/k8s)
k8s="golang-1.19-go dpkg-dev etcd-server openssl iptables conntrack"
# a browser that needs no screen, and letters for it (tests/page)
page="chromium-headless-shell fonts-dejavu-core"

want=
for group in "${@:-build}"; do
	case $group in
	build) want="$want $build" ;;
	test) want="$want $test" ;;
	static) want="$want $static" ;;
	cross) want="$want $cross" ;;
	k8s) want="$want $k8s" ;;
	page) want="$want $page" ;;
	*) echo "deps.sh: unknown group $group" >&2; exit 2 ;;
	esac
done
# Any kubectl will do; Debian's is 1.20.2.
case " $* " in *" test "*) command -v kubectl >/dev/null 2>&1 || want="$want kubernetes-client" ;; esac

missing=
for p in $want; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 # no question; no service starts (etcd's, FRR's, BIRD's):
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
apt-get -qq -oDPkg::Lock::Timeout=600 update
# shellcheck disable=SC2086
apt-get -qq -oDPkg::Lock::Timeout=600 install -y --no-install-recommends $missing >/dev/null
