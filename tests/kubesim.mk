# SPDX-License-Identifier: Apache-2.0
#
# kubesim: the small API server of the tests (tests/kubesim/README.md). It shares no code with lbd.

KUBESIM_OBJS := $(patsubst tests/kubesim/%.c,$(O)/kubesim.o/%.o,$(wildcard tests/kubesim/*.c))
KUBESIM_CPP  := -D_GNU_SOURCE -Itests/kubesim \
                $(patsubst -I%,-isystem %,$(shell pkg-config --cflags libcjson libssl libcrypto 2>/dev/null))

.PHONY: kubesim
kubesim: $(O)/kubesim

$(O)/kubesim: $(KUBESIM_OBJS)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lcjson

$(O)/kubesim.o/%.o: tests/kubesim/%.c | $(O)/kubesim.o/.dir
	$(call say,CC,$<)$(CC) $(KUBESIM_CPP) $(CFLAGS) -MMD -MP -c -o $@ $<
