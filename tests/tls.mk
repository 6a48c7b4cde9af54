# SPDX-License-Identifier: Apache-2.0
#
# tlsget, twice: with this machine's libuv and mbedTLS 2.28, and with the static sysroot's (musl, mbedTLS 3.6) where it has been
# built.  Sub-target: tls-test.

TLS_SYSROOT := build/static/sysroot-x86_64-linux-gnu
TLSGET      := $(O)/tests/tlsget $(if $(wildcard $(TLS_SYSROOT)/done),$(O)/tests/tlsget-static)

$(O)/tests/tlsget.o: tests/tls/tlsget.c | $(O)/tests/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/tests/tlsget: $(O)/tests/tlsget.o $(call objs,http)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

TLS_STATIC_SRC := tests/tls/tlsget.c $(wildcard packaging/static/*.c) $(addsuffix .c,$(call closure,http))

$(O)/tests/tlsget-static: $(TLS_STATIC_SRC) $(wildcard *.h) $(TLS_SYSROOT)/done | $(O)/tests/.dir
	$(call say,STATIC,$@)$(TLS_SYSROOT)/bin/musl-gcc -std=gnu11 -D_GNU_SOURCE -DLBD_VERSION='"$(VERSION)"' -I. $(WARN) $(WERROR) -Os -g -fPIE -flto=auto -flto-partition=one -Wno-maybe-uninitialized \
		-static-pie -fstack-protector-strong -o $@ $(TLS_STATIC_SRC) -luv -lmbedtls -lmbedx509 -lmbedcrypto

.PHONY: tls-test
tls-test: $(TLSGET)
	$(Q)LBD_TLSGET="$(subst $(space),:,$(strip $(TLSGET)))" $(PYTHON) -m pytest -q -p no:cacheprovider tests/lab/test_tls.py
