# SPDX-License-Identifier: Apache-2.0
# make install [PREFIX=/usr/local] [DESTDIR=]   the binary, manual pages, documents, unit, user (systemd-sysusers), manifests, alerts and
#               the like in share/lbd, a configuration where there is none
# make deb      build/deb/lbd_<version>_<architecture>.deb, of the static binary
# make image    build/image/lbd-<version>-<architecture>.tar: an OCI layout of the static binary and its licences
# make checksums  build/SHA256SUMS of whatever static binaries, packages and images of this version there are, these two among them
# make release  all of that for each processor of TRIPLETS, and build/image/lbd-<version>.tar, one image for all of them

PREFIX  ?= /usr/local
DESTDIR ?=
UNITDIR ?= /etc/systemd/system
SYSUSERSDIR ?= /etc/sysusers.d
BINARY  ?= lbd
ARCH     = $(call arch_of,$(TRIPLET))
DEB      = build/deb/lbd_$(VERSION)_$(ARCH).deb
IMAGE    = build/image/lbd-$(VERSION)-$(ARCH).tar

TRIPLETS ?= x86_64-linux-gnu aarch64-linux-gnu arm-linux-gnueabihf
arch_of  = $(patsubst arm,armhf,$(patsubst aarch64,arm64,$(patsubst x86_64,amd64,$(firstword $(subst -, ,$(1))))))

NOTICE  := build/static/third-party
# share/lbd is packaging/ without what builds: k3s/install.sh finds there what it wants beside it.
SHARE   := $(DESTDIR)$(PREFIX)/share
SHARED  := kubeconfig.tmpl lbd.yaml $(patsubst packaging/%,%,$(wildcard $(addprefix packaging/,grafana/* k3s/* kubernetes/* prometheus/* systemd/*)))
# share/doc/lbd is laid out as the tree is, so that the documents' links lead somewhere.
DOCS    := README.md ARCHITECTURE.md CHANGELOG.md LICENSE SECURITY.md docs/every-key.yaml $(wildcard docs/*.md docs/*.[58])

.PHONY: install deb image checksums release
install: $(BINARY)
	$(Q)install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/lbd
	$(Q)ln -sf lbd $(DESTDIR)$(PREFIX)/bin/kubectl-lbd
	$(Q)install -D -m 644 docs/lbd.8 $(DESTDIR)$(PREFIX)/share/man/man8/lbd.8
	$(Q)install -D -m 644 docs/lbd.yaml.5 $(DESTDIR)$(PREFIX)/share/man/man5/lbd.yaml.5
	$(Q)mkdir -p $(DESTDIR)$(UNITDIR)
	$(Q)sed 's:/usr/local/bin:$(PREFIX)/bin:' packaging/systemd/lbd.service >$(DESTDIR)$(UNITDIR)/lbd.service
	$(Q)install -D -m 644 packaging/systemd/realtime.conf $(DESTDIR)$(UNITDIR)/lbd.service.d/realtime.conf
	$(Q)for f in $(SHARED); do install -D -m $$([ -x packaging/$$f ] && echo 755 || echo 644) packaging/$$f $(SHARE)/lbd/$$f || exit 1; done
	$(Q)ln -sf kubernetes/rbac.yaml $(SHARE)/lbd/rbac.yaml
	$(Q)ln -sf systemd/listen.conf $(SHARE)/lbd/listen.conf
	$(Q)for f in $(DOCS); do install -D -m 644 $$f $(SHARE)/doc/lbd/$$f || exit 1; done
	$(Q)ln -sfn ../../lbd $(SHARE)/doc/lbd/packaging
	$(Q)install -D -m 644 packaging/systemd/lbd.sysusers $(DESTDIR)$(SYSUSERSDIR)/lbd.conf
	$(Q)[ -e $(DESTDIR)/etc/lbd/lbd.yaml ] || install -D -m 644 packaging/lbd.yaml $(DESTDIR)/etc/lbd/lbd.yaml

$(NOTICE): $(STATIC) packaging/licences.sh
	$(Q)packaging/licences.sh build/static/src >$@

deb: $(DEB)

$(DEB): $(STATIC) $(NOTICE) $(wildcard packaging/deb/* docs/*.[58]) $(SHARED:%=packaging/%) $(DOCS) packaging/packaging.mk
	$(Q)rm -rf $(@D)/root && mkdir -p $(@D)/root/DEBIAN
	$(Q)$(MAKE) --no-print-directory install DESTDIR=$(@D)/root PREFIX=/usr UNITDIR=/lib/systemd/system SYSUSERSDIR=/usr/lib/sysusers.d BINARY=$(STATIC)
	$(Q)gzip -9n $(@D)/root/usr/share/man/man?/*
	$(Q)mv $(@D)/root/usr/share/doc/lbd/LICENSE $(@D)/root/usr/share/doc/lbd/copyright
	$(Q)ln -s copyright $(@D)/root/usr/share/doc/lbd/LICENSE
	$(Q)install -m 644 $(NOTICE) $(@D)/root/usr/share/doc/lbd/
	$(Q)sed 's/@VERSION@/$(VERSION)/; s/@ARCH@/$(ARCH)/' packaging/deb/control >$(@D)/root/DEBIAN/control
	$(Q)install -m 644 packaging/deb/conffiles $(@D)/root/DEBIAN/
	$(Q)install -m 755 packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm $(@D)/root/DEBIAN/
	$(Q)dpkg-deb --root-owner-group --build $(@D)/root $@ >/dev/null
	$(Q)rm -rf $(@D)/root
	$(Q)ls -l $@ | awk '{ print "  " $$NF ": " $$5 " bytes" }'

image: $(IMAGE)

IMAGE_DOCS := copyright=LICENSE third-party=$(NOTICE) SECURITY.md=SECURITY.md

$(IMAGE): $(STATIC) $(NOTICE) packaging/image.py LICENSE SECURITY.md
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) packaging/image.py $(VERSION) $@ $(ARCH)=$(STATIC) -- $(IMAGE_DOCS)
	$(Q)ls -l $@ | awk '{ print "  " $$NF ": " $$5 " bytes" }'

checksums: $(STATIC) $(DEB) $(IMAGE)
	$(Q)cd build && sha256sum static/*/lbd deb/lbd_$(VERSION)_*.deb image/lbd-$(VERSION)*.tar >SHA256SUMS
	$(Q)cat build/SHA256SUMS

ALL_IMAGE := build/image/lbd-$(VERSION).tar

release:
	$(Q)packaging/deps.sh build static cross
	$(Q)for t in $(TRIPLETS); do $(MAKE) --no-print-directory deb TRIPLET=$$t || exit 1; done
	$(Q)mkdir -p $(dir $(ALL_IMAGE))
	$(Q)$(PYTHON) packaging/image.py $(VERSION) $(ALL_IMAGE) $(foreach t,$(TRIPLETS),$(call arch_of,$(t))=build/static/$(t)/lbd) -- $(IMAGE_DOCS)
	$(Q)ls -l $(ALL_IMAGE) | awk '{ print "  " $$NF ": " $$5 " bytes" }'
	$(Q)$(MAKE) --no-print-directory checksums
