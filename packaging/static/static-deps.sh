#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# static-deps.sh SRC OUT TRIPLET - a musl sysroot with lbd's five libraries, for the static
# release: OUT/bin/musl-gcc, OUT/include, OUT/lib/*.a.  SRC is what fetch-src.sh made.
#
# TRIPLET: x86_64-linux-gnu | aarch64-linux-gnu | arm-linux-gnueabihf (the last two need Debian's
# cross gcc and linux-libc-dev-<arch>-cross).  Logs of each step: OUT/build/*.log.
# Needs: gcc, cmake, ninja-build, flex, bison, make, patch, uthash-dev.  JOBS=n limits parallel jobs.
set -eu

[ $# -eq 3 ] || { echo "usage: static-deps.sh SRC OUT TRIPLET" >&2; exit 2; }
HERE=$(realpath "$(dirname "$0")")
SRC=$(realpath "$1")
mkdir -p "$2"
OUT=$(realpath "$2")
TRIPLET=$3
JOBS=${JOBS:-$(nproc)}
BUILD=$OUT/build
for tool in cmake ninja flex bison make patch "$TRIPLET-gcc" "$TRIPLET-gcc-ar" "$TRIPLET-gcc-ranlib"; do
	command -v "$tool" >/dev/null || { echo "static-deps.sh: $tool not found" >&2; exit 1; }
done
[ -e /usr/include/uthash.h ] || { echo "static-deps.sh: uthash.h not found" >&2; exit 1; }
rm -rf "$BUILD" "$OUT/done"
mkdir -p "$BUILD" "$OUT/lib" "$OUT/include"

# With link-time optimization the libraries cost 20 kB less.  Prefix maps make the result the same in whatever folder it is built: libuv's asserts hold __FILE__.
CFLAGS="-Oz -g0 -ffunction-sections -fdata-sections -fPIE -fstack-protector-strong -fno-asynchronous-unwind-tables -flto"
CFLAGS="$CFLAGS -ffile-prefix-map=$SRC=src -ffile-prefix-map=$BUILD=build"

# The unpacked folder of one source package.
src() {
	set -- "$SRC/$1"-[0-9]*/
	[ -d "$1" ] || { echo "static-deps.sh: nothing in $1" >&2; exit 1; }
	echo "${1%/}"
}

# A private copy of one source package, with our patches of it.
copy_of() {
	cp -a "$(src "$1")" "$BUILD/$1-src" || return 1
	for change in "$HERE/$1"-*.patch; do
		(cd "$BUILD/$1-src" && patch -p1 -N < "$change") || return 1
	done
}

# Runs a step with its output in a log; shows the end of the log when it fails.
step() {
	name=$1
	shift
	if ! "$@" > "$BUILD/$name.log" 2>&1; then
		echo "static-deps.sh: $name failed, see $BUILD/$name.log" >&2
		tail -n 20 "$BUILD/$name.log" >&2
		exit 1
	fi
}

# Kernel headers come by three links: musl has none, and /usr/include would bring glibc's with it.
build_musl() {
	mkdir -p "$BUILD/musl"
	(cd "$BUILD/musl" &&
		"$(src musl)/configure" --target="$TRIPLET" --prefix="$OUT" --syslibdir="$OUT/lib" \
			--disable-shared --enable-wrapper=gcc CC="$TRIPLET-gcc" \
			CFLAGS="-Oz -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables" &&
		make -j"$JOBS" && make install) || return 1
	case $TRIPLET in
	x86_64-*) kernel=/usr/include; asm=/usr/include/$TRIPLET/asm ;;
	*) kernel=/usr/$TRIPLET/include; asm=$kernel/asm ;;
	esac
	ln -sfn "$kernel/linux" "$OUT/include/linux"
	ln -sfn "$kernel/asm-generic" "$OUT/include/asm-generic"
	ln -sfn "$asm" "$OUT/include/asm"
}

# -static for the probes: on armhf each fails otherwise (libgcc before libc, no group).
write_toolchain() {
	cat > "$BUILD/toolchain.cmake" <<TOOLCHAIN
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${TRIPLET%%-*})
set(CMAKE_C_COMPILER $OUT/bin/musl-gcc)
set(CMAKE_AR $(command -v "$TRIPLET-gcc-ar"))
set(CMAKE_RANLIB $(command -v "$TRIPLET-gcc-ranlib"))
set(CMAKE_C_FLAGS_INIT "$CFLAGS")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")
set(CMAKE_FIND_ROOT_PATH $OUT)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
TOOLCHAIN
}

# with_cmake NAME SOURCE TARGET [-D...]
with_cmake() {
	name=$1 from=$2 target=$3
	shift 3
	cmake -S "$from" -B "$BUILD/$name" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$BUILD/toolchain.cmake" \
		-DCMAKE_BUILD_TYPE=None -DCMAKE_INSTALL_PREFIX="$OUT" -DCMAKE_INSTALL_LIBDIR=lib \
		-DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF "$@" &&
		ninja -C "$BUILD/$name" -j"$JOBS" "$target"
}

build_libuv() {
	copy_of libuv1 || return 1
	with_cmake uv "$BUILD/libuv1-src" uv_a -DLIBUV_BUILD_SHARED=OFF -DLIBUV_BUILD_TESTS=OFF \
		-DLIBUV_BUILD_BENCH=OFF || return 1
	cp "$BUILD"/uv/libuv*.a "$OUT/lib/libuv.a" # libuv_a.a before 1.45
	cp -r "$(src libuv1)/include/." "$OUT/include/"
}

build_cjson() {
	mkdir -p "$OUT/include/cjson"
	cp "$(src cjson)/cJSON.h" "$OUT/include/cjson/"
	# shellcheck disable=SC2086
	"$OUT/bin/musl-gcc" $CFLAGS -c "$(src cjson)/cJSON.c" -o "$BUILD/cJSON.o" || return 1
	rm -f "$OUT/lib/libcjson.a"
	"$TRIPLET-gcc-ar" rcs "$OUT/lib/libcjson.a" "$BUILD/cJSON.o"
}

# Our settings are appended to a private copy's own config header: what is installed then matches
# the objects without a macro that every user must also define.
build_mbedtls() {
	cp -a "$(src mbedtls)" "$BUILD/mbedtls-src"
	# Does not apply any more once Debian's version has the fix; tests/lab/test_tls.py knows.
	(cd "$BUILD/mbedtls-src" && patch -p1 -N --dry-run < "$HERE/mbedtls-tls12-pss.patch" &&
		patch -p1 -N < "$HERE/mbedtls-tls12-pss.patch") || true
	cat "$HERE/mbed_user.h" >> "$BUILD/mbedtls-src/include/mbedtls/mbedtls_config.h"
	cp "$HERE/psa_user.h" "$BUILD/mbedtls-src/include/psa/crypto_config.h"
	# Where a start's time goes: handshakes (P-256; ecp.c itself gains nothing) and lists
	# (ChaCha20-Poly1305).
	echo 'set_source_files_properties(bignum.c bignum_core.c ecp_curves.c chacha20.c poly1305.c' \
		'PROPERTIES COMPILE_OPTIONS -O2)' >> "$BUILD/mbedtls-src/library/CMakeLists.txt"
	with_cmake mbedtls "$BUILD/mbedtls-src" install -DENABLE_TESTING=OFF -DENABLE_PROGRAMS=OFF \
		-DUSE_SHARED_MBEDTLS_LIBRARY=OFF -DGEN_FILES=OFF
}

build_libpcap() {
	with_cmake pcap "$(src libpcap)" pcap_static -DPCAP_TYPE=linux -DPCAP_SUPPORT_NETFILTER=OFF -DDISABLE_DBUS=ON \
		-DDISABLE_BLUETOOTH=ON -DDISABLE_LINUX_USBMON=ON -DDISABLE_RDMA=ON -DDISABLE_NETMAP=ON \
		-DDISABLE_DPDK=ON -DDISABLE_DAG=ON -DDISABLE_SEPTEL=ON -DDISABLE_SNF=ON -DDISABLE_TC=ON \
		-DBUILD_WITH_LIBNL=OFF -DENABLE_REMOTE=OFF || return 1
	cp "$BUILD/pcap/libpcap.a" "$OUT/lib/"
	cp -r "$(src libpcap)/pcap" "$(src libpcap)/pcap.h" "$(src libpcap)/pcap-bpf.h" "$OUT/include/"
}

build_libyaml() {
	with_cmake yaml "$(src libyaml)" yaml || return 1
	cp "$BUILD/yaml/libyaml.a" "$OUT/lib/"
	cp "$(src libyaml)/include/yaml.h" "$OUT/include/"
}

[ -x "$OUT/bin/musl-gcc" ] || step musl build_musl
write_toolchain
step libuv build_libuv
step cjson build_cjson
step mbedtls build_mbedtls
step libpcap build_libpcap
step libyaml build_libyaml
cp /usr/include/uthash.h /usr/include/utlist.h "$OUT/include/" # headers only, any libc
# Objects go, logs stay.
find "$BUILD" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
touch "$OUT/done"
