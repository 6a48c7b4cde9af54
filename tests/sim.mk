# SPDX-License-Identifier: Apache-2.0
# make sim [SEEDS=2000] [SEED=1] [VERBOSE=1] [KEEP=3,7]: the simulator's scenarios (tests/sim) and 40 nodes with 1,000 Services (neither
# when SEED or KEEP is given), then seeds.  LONG=1: seeds with a million failovers (an hour and a half of one core), and 200 nodes with
# 10,000 Services (two minutes, 2 GB).  Under the sanitizers a tenth.
SEEDS ?= $(if $(LONG),$(if $(SAN),10000,60000),$(if $(SAN),200,2000))
SEED  ?= 1
# Of the million, those that found what was mended since: judged each time.
SIM_KNOWN := 4735 6172 6236 6340 9842 10695 12561 13738 21816 23642 26706 26711 34941 35485 41156 41292 49110 56905
SIM_BIG := $(if $(SAN),--nodes 20 --services 1000,$(if $(LONG),--nodes 200 --services 10000))

SIM_UNITS := alloc arp bfd claims elect leader ndp object peers plan snapshot
SIM_OBJS  := $(patsubst tests/sim/%.c,$(O)/sim/%.o,$(filter-out tests/sim/alloc_random.c,$(wildcard tests/sim/*.c)))

$(O)/sim/%.o: tests/sim/%.c | $(O)/sim/.dir
	$(call say,CC,$<)$(CC) $(CPPFLAGS) -Itests/sim -Itests/unit $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/sim/sim: $(SIM_OBJS) $(sort $(foreach u,$(SIM_UNITS),$(call objs,$(u))))
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_PURE)

.PHONY: sim
sim: $(O)/sim/sim
	$(Q)$(if $(filter command line,$(origin SEED)),,$(O)/sim/sim --scenario all && $(O)/sim/sim --scenario all --v6 && $(O)/sim/sim --big $(SIM_BIG) && $(foreach s,$(SIM_KNOWN),$(O)/sim/sim --seed $(s) --seeds 1 && ))$(O)/sim/sim \
		--seeds $(SEEDS) --seed $(SEED) $(if $(VERBOSE),,--jobs 2) $(if $(VERBOSE),--verbose) $(if $(KEEP),--keep $(KEEP))

# make alloc-random [OPS=1000000] [SEED=1] [VERBOSE=1]: random operations against a naive model (tests/sim/alloc_random.c); under
# the sanitizers a share of them, unless LONG=1
OPS ?= $(if $(and $(SAN),$(if $(LONG),,short)),100000,1000000)

$(O)/sim/alloc_random: $(O)/sim/alloc_random.o $(sort $(call objs,alloc) $(call objs,cluster) $(call objs,config))
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_PURE)

.PHONY: alloc-random
alloc-random: $(O)/sim/alloc_random
	$(Q)$(O)/sim/alloc_random --ops $(OPS) --seed $(SEED) $(if $(VERBOSE),--verbose)
