# SPDX-License-Identifier: Apache-2.0
# make sim [SEEDS=300] [SEED=1] [VERBOSE=1]: the seeded simulator of elect, leader, plan and alloc (tests/sim/sim.c).
SEEDS ?= $(if $(LONG),100000,300)
SEED  ?= 1

$(O)/sim/sim.o: tests/sim/sim.c | $(O)/sim/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) -Itests/unit $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/sim/sim: $(O)/sim/sim.o $(sort $(call objs,plan) $(call objs,alloc))
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_PURE)

.PHONY: sim
sim: $(O)/sim/sim
	$(Q)$(O)/sim/sim --seeds $(SEEDS) --seed $(SEED) $(if $(VERBOSE),--verbose)
