# SPDX-License-Identifier: Apache-2.0
# lbd's BFD alone, for the laboratory and the figures.
$(O)/bench/bfdpeer: tests/bench/bfdpeer.c $(call objs,bfdio) | $(O)/bench/.dir
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(O)/bench/bareloop: tests/bench/bareloop.c | $(O)/bench/.dir
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<
