#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh - kube-apiserver, kube-controller-manager and kube-proxy 1.20.2, from bookworm's own source package with
# bookworm's Go 1.19.  Does nothing when this very script has made them.  About 4 minutes on 2 cores, 3 GB of disk
# while it runs, 250 MB after.  Needs: packaging/deps.sh k8s; no network but apt's.
#
# They are kept where they outlive this clone: in LBD_K8S_CACHE, else in lbd/k8s below XDG_CACHE_HOME or ~/.cache, else
# (no such place can be written) in build/k8s.  build/k8s is a link to where they are, and all that the tests know.
set -eu

VERSION=1.20.2
HERE=$(dirname "$(realpath "$0")")
LINK=$(realpath "$HERE/../..")/build/k8s

HOMES=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
DIR=${LBD_K8S_CACHE:-${HOMES:+$HOMES/lbd/k8s}}
if [ -z "$DIR" ] || ! mkdir -p "$DIR" 2>/dev/null || ! [ -w "$DIR" ]; then
	[ -z "${LBD_K8S_CACHE:-}" ] || { echo "build.sh: LBD_K8S_CACHE=$DIR cannot be written" >&2; exit 1; }
	DIR=$LINK
fi
[ "$DIR" != "$LINK" ] || ! [ -L "$LINK" ] || rm "$LINK"
mkdir -p "$DIR" "$(dirname "$LINK")"
DIR=$(realpath "$DIR")
if [ "$DIR" != "$(realpath -m "$LINK")" ]; then
	rm -rf "$LINK"
	ln -s "$DIR" "$LINK"
fi

RECIPE="$VERSION $(sha256sum <"$HERE/build.sh")"
exec 9>"$DIR/lock" # of runs side by side one builds
flock -n 9 || { echo "another build is under way in $DIR: waiting for it"; flock 9; }
[ "$(cat "$DIR/recipe" 2>/dev/null)" != "$RECIPE" ] || exit 0
echo "building Kubernetes $VERSION in $DIR, from Debian's source package: some minutes, once"

chmod -R u+w "$DIR"/work.* 2>/dev/null || true # of a run that was killed
rm -rf "$DIR"/work.* "$DIR/recipe"
WORK=$(mktemp -d "$DIR/work.XXXXXX")
trap 'chmod -R u+w "$WORK"; rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM
"$HERE/../../packaging/static/fetch-src.sh" "$WORK/src" bookworm kubernetes golang-github-modern-go-reflect2 || {
	echo "build.sh: apt did not give the source package of Kubernetes.  Reach a Debian mirror, or set LBD_K8S_CACHE to" \
		"where it was built." >&2
	exit 1
}

# GOPATH mode, as the makefiles of 1.20 use; nothing is fetched.
export GOPATH="$WORK/go" GOCACHE="$WORK/cache" GO111MODULE=off GOFLAGS= CGO_ENABLED=0 PATH="/usr/lib/go-1.19/bin:$PATH"
K=$GOPATH/src/k8s.io/kubernetes
mkdir -p "$(dirname "$K")" "$WORK/bin"
mv "$WORK"/src/kubernetes-*/ "$K"

# The vendored reflect2 1.0.1 crashes on maps when built with Go >= 1.18; Debian's is 1.0.2.
rm -r "$K/vendor/github.com/modern-go/reflect2"
mv "$WORK"/src/golang-github-modern-go-reflect2-*/ "$K/vendor/github.com/modern-go/reflect2"
rm -rf "$K"/vendor/github.com/modern-go/reflect2/*_test.go

# The tarball lacks pkg/generated/openapi; made as the Makefile makes it. The report of known violations says whether
# it came out as upstream's did.
cd "$K"
go build -o "$WORK/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
dirs=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg cmd plugin staging/src/k8s.io | xargs -n1 dirname | sort -u |
	grep -v -e code-generator -e sample-apiserver -e /vendor/ |
	sed -e 's,^staging/src/,vendor/,' -e 's,^,k8s.io/kubernetes/,' | paste -sd,)
"$WORK/openapi-gen" --logtostderr -i "$dirs" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
	-h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$WORK/report"
diff -q "$WORK/report" api/api-rules/violation_exceptions.list

flags="-s -w"
for m in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	for p in k8s.io/kubernetes/vendor/$m $m; do
		flags="$flags -X $p.gitVersion=v$VERSION -X $p.gitMajor=1 -X $p.gitMinor=20 -X $p.gitTreeState=archive"
	done
done
go build -ldflags "$flags" -o "$WORK/bin/" ./cmd/kube-apiserver ./cmd/kube-controller-manager ./cmd/kube-proxy
mv "$WORK"/bin/* "$DIR/"
cp "$WORK/src/SHA256SUMS" "$DIR/"
echo "$RECIPE" >"$DIR/recipe"
