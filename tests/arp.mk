# SPDX-License-Identifier: Apache-2.0
# The ARP tools of tests/bench.
$(O)/bench/arpblast: tests/bench/arpblast.c | $(O)/bench/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<
