# SPDX-License-Identifier: Apache-2.0
# lbd's BGP alone, and the other end of a session, for the figures.
$(O)/bench/bgpspeak: tests/bench/bgpspeak.c $(call objs,bgpio) | $(O)/bench/.dir
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(O)/bench/bgppeer: tests/bench/bgppeer.c | $(O)/bench/.dir
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<
