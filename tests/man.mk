# SPDX-License-Identifier: Apache-2.0
# make man: the fields of the configuration, from config_table.c into docs/lbd.yaml.5 and docs/configuration.md.  The unit test of the
# same name compares.
.PHONY: man
man: $(O)/tests/test_config_table
	$(Q)LBD_WRITE_MAN=1 $<
