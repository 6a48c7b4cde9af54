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

# make alloc-random [OPS=1000000] [SEED=1] [VERBOSE=1]: random operations against a naive model (tests/sim/alloc_random.c); under
# the sanitizers a share of them, unless LONG=1
OPS ?= $(if $(and $(SAN),$(if $(LONG),,short)),100000,1000000)

$(O)/sim/alloc_random.o: tests/sim/alloc_random.c | $(O)/sim/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/sim/alloc_random: $(O)/sim/alloc_random.o $(sort $(call objs,alloc) $(call objs,cluster) $(call objs,config))
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_PURE)

.PHONY: alloc-random
alloc-random: $(O)/sim/alloc_random
	$(Q)$(O)/sim/alloc_random --ops $(OPS) --seed $(SEED) $(if $(VERBOSE),--verbose)
