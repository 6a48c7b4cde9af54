#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh: lbd on this node of a k3s cluster, a server or an agent, as /var/lib/rancher/k3s says.
#
#   install.sh [install] [--binary FILE] [--config FILE] [--token-file FILE] [--server URL]
#   install.sh uninstall [--purge]
#
# Run it on a server first: that gives lbd its rights (an auto-deploy manifest) and leaves a token in /etc/lbd/token. Then on each
# agent, with a copy of that file as --token-file. A second run changes what is another by then, and nothing else; without --server
# it keeps the API server that an earlier run was given. uninstall takes away what install has put there, but for the
# configuration; --purge that and lbd's user, too. The rights go with the first server that uninstalls: do the agents first.
#
# Where Debian's package of lbd is installed (this file is in /usr/share/lbd/k3s then), its binary, unit and user are taken, and stay.
#
# ROOT=DIR works on a tree at DIR and starts nothing. KUBECTL=... is used in place of `k3s kubectl`.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
ROOT=${ROOT:-}
KUBECTL=${KUBECTL:-k3s kubectl}
rancher=$ROOT/var/lib/rancher/k3s
manifest=$rancher/server/manifests/lbd.yaml
units=$ROOT/etc/systemd/system
lbd=$ROOT/usr/local/bin/lbd
packaged=
if [ -e "$ROOT/var/lib/dpkg/info/lbd.list" ] && [ -x "$ROOT/usr/bin/lbd" ]; then
	packaged=yes
	lbd=$ROOT/usr/bin/lbd
fi
etc=$ROOT/etc/lbd
wait_s=${LBD_WAIT:-60}

say() { echo "lbd: $*"; }
die() { echo "lbd: $*" >&2; exit 1; }
usage() { sed -n '6,7s/^# *//p' "$0" >&2; exit 2; }

changed=
# put FILE PLACE MODE: a copy, if the place has another.
put() {
	[ -r "$1" ] || die "$1: cannot be read"
	if cmp -s "$1" "$2"; then return; fi
	mkdir -p "$(dirname "$2")"
	install -m "$3" "$1" "$2.lbd-new"
	mv -f "$2.lbd-new" "$2"
	changed=yes
	say "$2: written"
}

gone() {
	for f; do
		[ -e "$f" ] || [ -h "$f" ] || continue
		rm -rf "$f"
		say "$f: removed"
	done
}

role() {
	if [ -d "$rancher/server" ]; then
		echo server
	elif [ -d "$rancher/agent" ]; then
		echo agent
	else
		die "$rancher has neither server nor agent: is this a node of k3s?"
	fi
}

# Whatever of k3s's settings is on this node, as lines.
k3s_settings() {
	cat "$ROOT/etc/rancher/k3s/config.yaml" "$ROOT"/etc/rancher/k3s/config.yaml.d/*.yaml "$units"/k3s*.service \
		"$units"/k3s*.service.env 2>/dev/null | sed 's/#.*//' || true
}

# port NAME DEFAULT: a port that k3s was told. k3s's installer writes one argument a line.
port() {
	found=$(k3s_settings | tr -s "'\":=\\\\ \t\n" ' ' | sed -n "s/.*$1 \([0-9]\{1,5\}\) .*/\1/p")
	echo "${found:-$2}"
}

# Two load balancers would write one status by turns. In YAML a list or a string, in the unit an argument, perhaps of several.
check_servicelb() {
	# shellcheck disable=SC2020 # characters are meant
	k3s_settings | tr -s "'\",=[]\\\\ \t\n" ' ' |
		grep -Eq '(^| )(--)?disable:? ([a-z-]+ |- |--disable )*servicelb( |$)' && return
	say "WARNING: k3s's own load balancer is on, and would fight with lbd over each Service's status. On every server put"
	say "    disable: [servicelb]"
	say "  into /etc/rancher/k3s/config.yaml (or start k3s with --disable servicelb), and restart k3s."
}

install_files() {
	if [ -n "$packaged" ]; then
		[ -z "$binary" ] || die "--binary: Debian's package of lbd is installed, which has its own"
		return
	fi
	if [ -z "$binary" ]; then
		for binary in "$here/lbd" "$here/../build/static/$(uname -m)-linux-gnu/lbd" "$lbd" none; do
			[ ! -x "$binary" ] || break
		done
	fi
	[ -x "$binary" ] || die "which lbd? --binary FILE (make static makes it)"
	[ "$binary" = "$lbd" ] || put "$binary" "$lbd" 755
	put "$here/systemd/lbd.service" "$units/lbd.service" 644
	put "$here/systemd/realtime.conf" "$units/lbd.service.d/realtime.conf" 644
	put "$here/systemd/lbd.sysusers" "$ROOT/etc/sysusers.d/lbd.conf" 644
}

install_config() {
	if [ -n "$config" ]; then
		"$lbd" check-config -q "$config" || die "$config: see above"
		put "$config" "$etc/lbd.yaml" 644
	elif [ ! -e "$etc/lbd.yaml" ]; then
		put "$here/lbd.yaml" "$etc/lbd.yaml" 644
		say "$etc/lbd.yaml: an example, whose addresses are not yours"
	fi
	"$lbd" check-config -q "$etc/lbd.yaml" || die "$etc/lbd.yaml: see above"
	if "$lbd" check-config -p -q "$etc/lbd.yaml" | grep -q '^ *passive: true'; then
		put "$here/systemd/listen.conf" "$units/lbd.service.d/listen.conf" 644
	fi
}

# The token that the API server puts into the Secret, as soon as k3s has applied the manifest.
token_of_secret() {
	while :; do
		text=$($KUBECTL -n kube-system get secret lbd -o 'go-template={{.data.token | base64decode}}' 2>/dev/null) || text=
		case $text in '' | *'<'*) ;; *) break ;; esac
		[ "$wait_s" -gt 0 ] || return 1
		wait_s=$((wait_s - 1))
		sleep 1
	done
	printf '%s\n' "$text"
}

# choose_server URL: which one goes into the kubeconfig. One that an earlier run was given stays; URL is k3s's own on this node,
# whose port may have changed.
choose_server() {
	had=$(sed -n "s/^ *server: *[\"']\{0,1\}\(https:[^\"' ]*\).*/\1/p" "$etc/kubeconfig" 2>/dev/null | head -n 1)
	if [ -n "$server" ]; then
		say "API server: $server"
		return
	fi
	server=$1
	case $had in
	'' | https://127.0.0.1:*) say "API server: $server" ;;
	*)
		server=$had
		say "API server: $server, as $etc/kubeconfig has it (--server $1 for k3s's own on this node)"
		;;
	esac
}

# make_kubeconfig URL: of /etc/lbd/token.
make_kubeconfig() {
	(umask 077 && "$lbd" kubeconfig --server "$1" --ca-file "$rancher/agent/server-ca.crt" --token-file "$etc/token" -o "$etc/.kubeconfig")
	put "$etc/.kubeconfig" "$etc/kubeconfig" 600
	rm -f "$etc/.kubeconfig"
}

give_token() {
	if [ -n "$token" ]; then
		put "$token" "$etc/token" 600
	elif [ "$1" = server ]; then
		(umask 077 && token_of_secret >"$etc/.token") || {
			rm -f "$etc/.token"
			die "no token in the Secret kube-system/lbd: does k3s run, and does it apply $manifest?"
		}
		put "$etc/.token" "$etc/token" 600
		rm -f "$etc/.token"
	fi
	[ -e "$etc/token" ] || die "an agent's lbd needs the token: copy a server's /etc/lbd/token here, and --token-file FILE"
}

start() {
	[ -z "$ROOT" ] || return 0
	[ -n "$packaged" ] || systemd-sysusers /etc/sysusers.d/lbd.conf
	systemctl daemon-reload
	systemctl enable lbd.service
	if [ -n "$changed" ]; then systemctl restart lbd.service; else systemctl start lbd.service; fi
}

install_node() {
	role=$(role)
	say "this is a k3s $role"
	install_files
	install_config
	if [ "$role" = server ]; then
		at=$(port https-listen-port 6443)
		check_servicelb
		put "$here/rbac.yaml" "$manifest" 600
	else
		at=$(port lb-server-port 6444)
	fi
	give_token "$role"
	choose_server "https://127.0.0.1:$at"
	make_kubeconfig "$server"
	start
	say "done${changed:+; what changed is above}"
}

uninstall_node() {
	[ -z "$purge" ] || [ -z "$packaged" ] || die "--purge: Debian's package of lbd is installed; apt-get purge lbd does it, after uninstall"
	if [ -z "$ROOT" ]; then
		systemctl disable --now lbd.service 2>/dev/null || true
	fi
	if [ -e "$manifest" ]; then # its objects stay when the file goes
		$KUBECTL delete --ignore-not-found -f "$manifest" || say "WARNING: the objects of $manifest may be there still"
	fi
	gone "$manifest" "$units/lbd.service" "$units/lbd.service.d/realtime.conf" "$units/lbd.service.d/listen.conf" \
		"$units/multi-user.target.wants/lbd.service" "$ROOT/etc/sysusers.d/lbd.conf" "$etc/kubeconfig" "$etc/token" \
		"$ROOT/var/lib/lbd" "$ROOT/run/lbd"
	[ -n "$packaged" ] || gone "$lbd"
	rmdir "$units/lbd.service.d" 2>/dev/null || true
	[ -z "$purge" ] || gone "$etc"
	if [ -z "$ROOT" ]; then
		systemctl daemon-reload
		[ -z "$purge" ] || userdel lbd 2>/dev/null || true
	fi
}

what=install binary='' config='' token='' server='' purge=''
case ${1:-} in install | uninstall) what=$1; shift ;; esac
while [ $# -gt 0 ]; do
	case $what:$1 in
	uninstall:--purge) purge=yes; shift; continue ;;
	install:--binary | install:--config | install:--token-file | install:--server) [ $# -ge 2 ] || usage ;;
	*) usage ;;
	esac
	case $1 in
	--binary) binary=$2 ;;
	--config) config=$2 ;;
	--token-file) token=$2 ;;
	--server) server=$2 ;;
	esac
	shift 2
done
[ -n "$ROOT" ] || [ "$(id -u)" = 0 ] || die "root alone may do that"
"${what}_node"
