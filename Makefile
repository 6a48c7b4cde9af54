# SPDX-License-Identifier: Apache-2.0
#
# make          ./lbd            make check    unit, purity, simulator, fuzz smoke (asan+ubsan), lab
# make deps     Debian packages  make static   build/static/<triplet>/lbd (musl, mbedTLS 3.6)
# make install, deb, image, release: packaging/packaging.mk
# make demo     the 60-second tour               make V=1 ... shows the commands
# make check-page the status page in headless Chromium     make shake    hunts races of tests (tests/lab/shake.py)
# make check-k8s  on the real Kubernetes 1.20.2, built once from Debian's source package (tests/k8s/build.sh says where it is kept)

VERSION := 0.1.0
O       ?= build
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
PYTHON  := /usr/bin/python3
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2);)

# -- the house (DESIGN section 2): every unit and what it may use --------------------------------------------------------------
CONFIG := $(addprefix config_,decode dialect field links openelb print report rules scalar table text)
PURE := $(CONFIG) addr alloc announcer apiexplain apiview arena arp bfd bgp bgp_msg bgp_rib bgpconf bfdkey bind bpf buf claims cli cluster cluster_decode columns \
        condition config copy crd crdstat dispute doc doctor doctor_api doctor_checks doctor_conf doctor_proc doctor_rules elect elig event explain_text \
        finding foreign ground group health history hold homing http1 iface json judge kubeconf kubemake label leader level member metrics ndp nodelb \
        nodeset object outbox page peers plan pool publish retired rights rival routes service show snapshot suspect vip watch radv
SHELL_UNITS := apart bfdio bgpio bgplisten bound cmd cmd_doctor cmd_hand cmd_run cmd_state confine contest control crdwatch creds daemon doctor_host doctor_kube \
        doctor_run doctor_wire dry explain feed file gateway gauge hand http httpd ipvs keep kube lbd log mcast mesh net nic nladdr nodename notify pass reload remote \
        rt scrape secret snapfile speaker status tls why wire witness writer radvio announced

USES_addr     :=
USES_arena    :=
USES_buf      :=
USES_json     :=
USES_metrics  := buf
USES_columns  := buf
USES_finding  := buf columns json
USES_show     := addr buf columns finding json
USES_page     := addr buf finding show
USES_apiexplain := addr buf finding json
USES_apiview  := addr claims cluster_decode columns json
USES_foreign  := addr
USES_label    :=
USES_doc      := arena
USES_doctor   := addr buf config doctor_api doctor_checks doctor_conf json
USES_doctor_api := config doctor
USES_doctor_checks := addr config doctor
USES_doctor_conf := addr config doctor
USES_doctor_proc := addr config doctor
USES_doctor_rules := addr config doctor json
USES_config   := $(CONFIG) addr arena buf doc json label
$(foreach u,$(CONFIG),$(eval USES_$(u) := config))
USES_cluster_decode := addr condition copy json label
USES_cluster  := buf cluster_decode copy label
USES_service  := addr buf cluster config
USES_retired  := addr buf cluster leader
USES_snapshot := addr buf cluster json
USES_vip      := addr cluster config retired service
USES_pool     := addr config label
USES_copy     := addr
USES_crd      := buf config crdstat json
USES_crdstat  := addr alloc buf config json outbox
USES_outbox   :=
USES_condition := outbox
USES_rights   := buf
USES_judge    := buf copy pool service
USES_alloc    := addr buf copy judge outbox pool service
USES_nodeset  := addr arena cluster label
USES_nodelb   := addr cluster config copy nodeset outbox service
USES_iface    := addr
USES_leader   := cluster
USES_elig     := addr buf cluster config iface label retired service vip
USES_claims   := addr buf cluster vip
USES_health   :=
USES_history  :=
USES_rival    := addr buf json
USES_member   := addr claims cluster hold suspect
USES_suspect  :=
USES_dispute  :=
USES_bfd      := addr
USES_bgp_msg  := addr
USES_bgp_rib  := addr bgp_msg
USES_bgpconf  := addr bfd bgp bgp_rib cluster config iface
USES_routes   := addr bgp_rib bgp_msg cluster config label vip
USES_bgp      := addr bgp_msg bgp_rib
USES_radv     := addr
USES_peers    := addr bfd cluster config elig iface member
USES_group    := addr dispute elig member vip
USES_publish  := buf cluster config elig leader member
USES_ground   := claims cluster config elig group health member publish vip
USES_inquire  := claims elig ground group member suspect vip
USES_hold     :=
USES_homing   := addr claims cluster config elig ground group health hold member publish vip
USES_elect    := addr buf claims cluster config dispute elig ground group health history hold homing inquire leader member publish suspect vip
USES_plan     := addr elect vip
USES_arp      := addr announcer
USES_bind     := addr
USES_bfdkey   :=
USES_bpf      := addr
USES_announcer := addr
USES_ndp      := addr announcer
USES_event    := buf
USES_explain_text := buf json
USES_http1    := buf
USES_watch    := buf json
USES_kubeconf := doc json
USES_kubemake := buf kubeconf
USES_cli      := buf config
USES_level    :=
USES_log      := buf level
USES_tls      := addr buf
USES_http     := buf http1 log tls
USES_object   := leader
USES_creds    := buf file kubeconf log tls
USES_kube     := buf cluster creds event http json leader log object rights watch
USES_net      := addr bpf iface log nic rt
USES_nladdr   := addr bind iface log rt
USES_ipvs     := buf file
USES_bound    := addr bind config iface log net nladdr
USES_snapfile := buf cluster elect file log rt snapshot
USES_nic      :=
USES_nodename := config
USES_notify   :=
USES_confine  :=
USES_gateway  := addr
USES_mcast    := addr iface log
USES_apart    :=
USES_httpd    := addr apart buf http1 log
USES_gauge    := $(PURE) bfdio crdwatch net speaker status
USES_scrape   := $(PURE) crdwatch file gauge httpd net status wire
USES_control  := apart buf json log
USES_file     := buf
USES_bfdio    := addr bfd bfdkey buf file log
USES_bgplisten := addr bgpio log
USES_speaker  := $(PURE) bfdio bgpio bgplisten file log mesh net radvio secret status
USES_bgpio    := addr bgp bgp_msg bgp_rib
USES_radvio   := addr log radv
USES_announced := $(PURE) kube log speaker why
USES_contest  := $(PURE) kube log
USES_daemon   := $(PURE) announced bfdio bgpio bound confine contest control crdwatch dry explain feed file hand keep kube log mesh net nodename notify pass reload rt scrape secret snapfile wire witness speaker
USES_feed     := alloc cluster crdwatch json keep kube log mesh secret snapfile
USES_crdwatch := $(PURE) feed kube log reload
USES_rt       := log
USES_secret   := $(PURE) kube log speaker
USES_hand     := addr config elect json level log mesh reload speaker status vip
USES_mesh     := addr bfdio config elect elig log net peers witness speaker
USES_witness  := addr log
USES_wire     := arp bound elect elig foreign gateway ipvs log mcast mesh ndp net speaker status
USES_reload   := $(PURE) crdwatch feed file keep log mesh nodename wire speaker
USES_pass     := $(PURE) announced bound contest crdwatch dry feed hand keep kube log mesh net reload scrape secret snapfile status wire writer speaker
USES_writer   := $(PURE) announced contest crdwatch dry feed keep kube log
USES_keep     := $(PURE) log
USES_status   := $(PURE) bound crdwatch dry explain feed kube net reload secret why speaker
USES_remote   := apiview buf http1 json kube
USES_why      := $(PURE)
USES_dry      := $(PURE) explain log net why
USES_explain  := $(PURE) crdwatch dry keep kube net status why
USES_doctor_host := buf config doctor doctor_proc doctor_rules json
USES_doctor_kube := addr buf config creds doctor doctor_proc json kube
USES_doctor_wire := addr announcer arp bpf config control doctor json ndp
USES_doctor_run := buf config doctor doctor_host doctor_kube doctor_wire file log nodename
USES_cmd      := buf cli config control json
USES_cmd_doctor := buf cmd doctor_run file kubemake
USES_cmd_hand := cmd config json level
USES_cmd_run  := buf cmd config daemon file level log
USES_cmd_state := apiexplain buf cmd config control explain_text json remote show
USES_lbd      := cmd cmd_doctor cmd_hand cmd_run cmd_state config

# closure: a set of units and all that they may use, sorted.
expand   = $(sort $(1) $(foreach u,$(1),$(USES_$(u))))
closure  = $(if $(filter-out $(1),$(call expand,$(1))),$(call closure,$(call expand,$(1))),$(sort $(1)))
objs     = $(addprefix $(O)/,$(addsuffix .o,$(call closure,$(1))))

# -- flags (STYLE) -------------------------------------------------------------------------------------------------------------
PKGS     := libuv libcjson yaml-0.1 libpcap
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
            -Wcast-align -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Wnull-dereference
WERROR   ?= -Werror
HARDEN   := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=3 -fPIE
OPT      ?= -O2
SAN      ?=
ifneq ($(SAN),)
HARDEN   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -fPIE
OPT      := -O1
endif
CPPFLAGS += -D_GNU_SOURCE -DLBD_VERSION='"$(VERSION)"' -I. $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
CFLAGS   += -std=gnu11 $(WARN) $(WERROR) $(OPT) -g -fno-strict-aliasing -fno-common $(HARDEN)
LDFLAGS  += -pie -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SAN),-fsanitize=address$(comma)undefined)
comma    := ,
LIBS_PURE := -lcjson -lyaml -lmbedcrypto
LIBS     := -luv -lpcap -lcjson -lyaml -lmbedtls -lmbedx509 -lmbedcrypto

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: all
all: lbd

lbd: $(O)/lbd
	$(Q)cp -f $< $@

$(O)/lbd: $(call objs,lbd)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# -- the next version, for tests: those units anew whose Leases differ in it (schema.h) -------------------------------------------
NEXT := $(patsubst %.c,%,$(shell grep -l '"schema.h"' *.c))

.PHONY: next
next: $(O)/next/lbd

$(O)/next/lbd: $(filter-out $(NEXT:%=$(O)/%.o),$(call objs,lbd)) $(NEXT:%=$(O)/next/%.o)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(O)/next/%.o: %.c | $(O)/next/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) -DLBD_LEASE_SCHEMA=2 $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/%.o: %.c | $(O)/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

%/.dir:
	$(Q)mkdir -p $(@D) && touch $@

# -- unit tests: tests/unit/test_X.c links with X and what X may use; TEST_USES_X adds more --------------------------------------
TEST_ALLOC := alloc cluster config
$(foreach t,table asking sharing change others,$(eval TEST_USES_alloc_$(t) := $(TEST_ALLOC)))
UNIT_TESTS := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
TEST_USES_kept := alloc retired vip

TEST_USES_dialects := alloc config doc
TEST_USES_snapshot := elig iface vip
TEST_USES_routes := elig iface
TEST_USES_apiexplain := explain_text
TEST_USES_bgpconf := elig iface vip
TEST_LIBS_bpf := -lpcap

define unit_test
$(O)/tests/test_$(1): $(O)/tests/test_$(1).o $(if $(wildcard $(1).c),$(call objs,$(1))) $(foreach u,$(TEST_USES_$(1)),$(call objs,$(u)))
	$$(call say,LINK,$$@)$$(CC) $$(LDFLAGS) -o $$@ $$(sort $$^) $$(if $$(filter $(1),$$(PURE)),$$(LIBS_PURE),$$(LIBS)) $$(TEST_LIBS_$(1))
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_test,$(t))))

$(O)/tests/%.o: tests/unit/%.c | $(O)/tests/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) -Itests/unit $(CFLAGS) -MMD -MP -c -o $@ $<

.PHONY: unit
unit: $(UNIT_TESTS:%=$(O)/tests/test_%)
	$(Q)for t in $^; do $$t || exit 1; done

# those that let allocations fail, which sanitizers do not
PLAIN_TESTS := $(patsubst tests/unit/test_%.c,%,$(shell grep -lE '__SANITIZE_ADDRESS__|"oom.h"' tests/unit/test_*.c))
.PHONY: unit-plain
unit-plain: $(PLAIN_TESTS:%=$(O)/tests/test_%)
	$(Q)for t in $^; do $$t || exit 1; done

-include $(wildcard $(O)/*.d $(O)/*/*.d)
include $(wildcard tests/*.mk)

# every unit compiled, nothing linked (for a second compiler)
.PHONY: objects
objects: $(call objs,lbd)

# -- the purity rule is a test ---------------------------------------------------------------------------------------------------
empty :=
space := $(empty) $(empty)
.PHONY: purity
purity: $(PURE:%=$(O)/%.o)
	$(Q)$(PYTHON) tests/purity.py $(O) tests/purity.allow $(foreach u,$(PURE),$(u)=$(subst $(space),$(comma),$(strip $(call closure,$(u)))))

# -- fuzzing: tests/fuzz/fuzz_X.c names the units it links with in its first line: /* uses: a b c */ -------------------------------
FUZZ_SECONDS ?= 20
FUZZ_O       := build/fuzz
FUZZ         := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_FLAGS   := -std=gnu11 -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

$(FUZZ_O)/%.o: %.c | $(FUZZ_O)/.dir
	$(call say,FUZZCC,$<)clang $(CPPFLAGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

fuzz_uses = $(call closure,$(shell sed -n '1s:^/\* uses\: \(.*\) \*/:\1:p' tests/fuzz/fuzz_$(1).c))
define fuzz_target
$(FUZZ_O)/fuzz_$(1): tests/fuzz/fuzz_$(1).c $(addprefix $(FUZZ_O)/,$(addsuffix .o,$(call fuzz_uses,$(1))))
	$$(call say,FUZZ,$$@)clang $$(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $$@ $$^ $$(LIBS)
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz_target,$(t))))

.PHONY: fuzz
fuzz: $(FUZZ:%=$(FUZZ_O)/fuzz_%)
	$(Q)$(PYTHON) tests/fuzz/run.py $(FUZZ_SECONDS) $(FUZZ_O) $(FUZZ)

# -- what a person runs; each does its own set-up ---------------------------------------------------------------------------------
.PHONY: deps check check-k8s check-page asan shake demo
deps:
	$(Q)packaging/deps.sh build test static

check: deps
	$(Q)$(PYTHON) tests/check.py

check-k8s:
	$(Q)packaging/deps.sh build test
	$(Q)$(PYTHON) tests/check.py --k8s

check-page:
	$(Q)packaging/deps.sh build test page
	$(Q)$(MAKE) --no-print-directory lbd kubesim
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider tests/page

asan: deps
	$(Q)$(PYTHON) tests/check.py --asan-lab

shake: deps
	$(Q)$(PYTHON) tests/check.py --shake

demo:
	$(Q)packaging/deps.sh build test
	$(Q)$(MAKE) --no-print-directory lbd kubesim
	$(Q)$(PYTHON) tests/lab/demo.py

# -- the static binary: musl, mbedTLS 3.6, all from Debian source packages --------------------------------------------------------
TRIPLET    ?= x86_64-linux-gnu
SYSROOT    := build/static/sysroot-$(TRIPLET)
STATIC     := build/static/$(TRIPLET)/lbd
STATIC_SRC := $(addsuffix .c,$(call closure,lbd)) $(wildcard packaging/static/*.c)

.PHONY: static
static: $(STATIC)

$(SYSROOT)/done: $(addprefix packaging/static/,fetch-src.sh static-deps.sh mbed_user.h psa_user.h) $(wildcard packaging/static/*.patch)
	$(Q)packaging/deps.sh build static
	$(Q)packaging/static/fetch-src.sh build/static/src
	$(Q)packaging/static/static-deps.sh build/static/src $(SYSROOT) $(TRIPLET)
	$(Q)touch $@

$(STATIC): $(STATIC_SRC) $(wildcard *.h) $(SYSROOT)/done
	$(Q)mkdir -p $(@D)
	$(call say,STATIC,$@)$(SYSROOT)/bin/musl-gcc -std=gnu11 -D_GNU_SOURCE -DLBD_NO_DOC -DLBD_VERSION='"$(VERSION)"' -I. $(WARN) $(WERROR) -Oz -g -flto=auto -flto-partition=one -Wno-maybe-uninitialized \
		-fno-strict-aliasing -fno-common -fPIE -static-pie -ffunction-sections -fdata-sections -fstack-protector-strong -fno-asynchronous-unwind-tables -fno-unwind-tables \
		-ffile-prefix-map=$(CURDIR)=. -o $@.debug $(STATIC_SRC) -luv -lcjson -lpcap -lyaml -lmbedtls -lmbedx509 -lmbedcrypto \
		-Wl,--gc-sections,-z,relro,-z,now,-z,noexecstack$(if $(filter x86_64%,$(TRIPLET)),$(comma)-z$(comma)pack-relative-relocs)
	$(Q)$(if $(filter x86_64%,$(TRIPLET)),,$(TRIPLET)-)strip -o $@ $@.debug
	$(Q)! readelf -lW $@ | grep -q INTERP || { echo "$@ is not static"; rm -f $@; exit 1; }
	$(Q)ls -l $@ | awk '{ print "  " $$NF ": " $$5 " bytes" }'

include packaging/packaging.mk

# -- figures (shared/BENCH.md) ----------------------------------------------------------------------------------------------------
$(O)/bench/bench_alloc: tests/bench/bench_alloc.c $(call objs,alloc copy) | $(O)/bench/.dir
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_PURE)

BENCHES := alloc mem idle arp bfd l2 bgp small
.PHONY: bench bench-tools $(BENCHES:%=bench-%)
bench-tools:
	$(Q)packaging/deps.sh build test static
	$(Q)$(MAKE) $(if $(V),,-s) --no-print-directory lbd kubesim static build/bench/bench_alloc build/bench/arpblast build/bench/bfdpeer build/bench/bareloop build/bench/udpprobe build/bench/bgppeer build/bench/bgpspeak

bench: bench-tools
	$(Q)$(PYTHON) tests/bench/bench.py

$(BENCHES:%=bench-%): bench-%: bench-tools
	$(Q)$(PYTHON) tests/bench/bench.py $*

.PHONY: tidy
tidy:
	$(Q)printf '%s\n' $(sort $(wildcard *.c)) | xargs -P2 -I@ clang-tidy --quiet @ -- $(CPPFLAGS) -std=gnu11

.PHONY: fmt
fmt:
	clang-format -i *.c *.h $(wildcard tests/*/*.c tests/*/*.h)

.PHONY: clean
clean:
	rm -rf build lbd
