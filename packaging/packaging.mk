# SPDX-License-Identifier: Apache-2.0
# make install [PREFIX=/usr/local] [DESTDIR=]   the binary, manual pages, unit, user (systemd-sysusers), a configuration where there is none
# make deb      build/deb/lbd_<version>_<architecture>.deb, of the static binary
# make image    build/image/lbd-<version>-<architecture>.tar: an OCI layout of the static binary and its licences
# make checksums  build/SHA256SUMS of the static binary and those two

PREFIX  ?= /usr/local
DESTDIR ?=
UNITDIR ?= /etc/systemd/system
SYSUSERSDIR ?= /etc/sysusers.d
BINARY  ?= lbd
ARCH    := $(patsubst arm,armhf,$(patsubst aarch64,arm64,$(patsubst x86_64,amd64,$(firstword $(subst -, ,$(TRIPLET))))))
DEB     := build/deb/lbd_$(VERSION)_$(ARCH).deb
IMAGE   := build/image/lbd-$(VERSION)-$(ARCH).tar

NOTICE  := build/static/third-party

.PHONY: install deb image checksums
install: $(BINARY)
	$(Q)install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/lbd
	$(Q)ln -sf lbd $(DESTDIR)$(PREFIX)/bin/kubectl-lbd
	$(Q)install -D -m 644 docs/lbd.8 $(DESTDIR)$(PREFIX)/share/man/man8/lbd.8
	$(Q)install -D -m 644 docs/lbd.yaml.5 $(DESTDIR)$(PREFIX)/share/man/man5/lbd.yaml.5
	$(Q)mkdir -p $(DESTDIR)$(UNITDIR)
	$(Q)sed 's:/usr/local/bin:$(PREFIX)/bin:' packaging/systemd/lbd.service >$(DESTDIR)$(UNITDIR)/lbd.service
	$(Q)install -D -m 644 packaging/systemd/realtime.conf $(DESTDIR)$(UNITDIR)/lbd.service.d/realtime.conf
	$(Q)install -D -m 644 packaging/systemd/listen.conf $(DESTDIR)$(PREFIX)/share/lbd/listen.conf
	$(Q)install -D -m 644 packaging/systemd/lbd.sysusers $(DESTDIR)$(SYSUSERSDIR)/lbd.conf
	$(Q)[ -e $(DESTDIR)/etc/lbd/lbd.yaml ] || install -D -m 644 packaging/lbd.yaml $(DESTDIR)/etc/lbd/lbd.yaml

$(NOTICE): $(STATIC) packaging/licences.sh
	$(Q)packaging/licences.sh build/static/src >$@

deb: $(DEB)

$(DEB): $(STATIC) $(NOTICE) $(wildcard packaging/deb/* packaging/systemd/* packaging/kube* docs/*.[58]) packaging/lbd.yaml packaging/rbac.yaml packaging/packaging.mk SECURITY.md
	$(Q)rm -rf $(@D) && mkdir -p $(@D)/root/DEBIAN
	$(Q)$(MAKE) --no-print-directory install DESTDIR=$(@D)/root PREFIX=/usr UNITDIR=/lib/systemd/system SYSUSERSDIR=/usr/lib/sysusers.d BINARY=$(STATIC)
	$(Q)gzip -9n $(@D)/root/usr/share/man/man?/*
	$(Q)install -D -m 644 LICENSE $(@D)/root/usr/share/doc/lbd/copyright
	$(Q)install -m 644 $(NOTICE) SECURITY.md $(@D)/root/usr/share/doc/lbd/
	$(Q)install -m 644 packaging/rbac.yaml packaging/kubeconfig.tmpl $(@D)/root/usr/share/lbd/
	$(Q)sed 's/@VERSION@/$(VERSION)/; s/@ARCH@/$(ARCH)/' packaging/deb/control >$(@D)/root/DEBIAN/control
	$(Q)install -m 644 packaging/deb/conffiles $(@D)/root/DEBIAN/
	$(Q)install -m 755 packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm $(@D)/root/DEBIAN/
	$(Q)dpkg-deb --root-owner-group --build $(@D)/root $@ >/dev/null
	$(Q)rm -rf $(@D)/root
	$(Q)ls -l $@ | awk '{ print "  " $$NF ": " $$5 " bytes" }'

image: $(IMAGE)

$(IMAGE): $(STATIC) $(NOTICE) packaging/image.py LICENSE SECURITY.md
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) packaging/image.py $(STATIC) $(ARCH) $(VERSION) $@ copyright=LICENSE third-party=$(NOTICE) SECURITY.md=SECURITY.md
	$(Q)ls -l $@ | awk '{ print "  " $$NF ": " $$5 " bytes" }'

checksums: build/SHA256SUMS

build/SHA256SUMS: $(STATIC) $(DEB) $(IMAGE)
	$(Q)cd $(@D) && sha256sum $(^:build/%=%) >$(@F)
	$(Q)cat $@
