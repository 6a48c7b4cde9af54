# SPDX-License-Identifier: Apache-2.0
# What a client sees of a service address, for the figures of layer 2.
$(O)/bench/udpprobe: tests/bench/udpprobe.c | $(O)/bench/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<
