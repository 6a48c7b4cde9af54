/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.h - a sub-command's options by a table.  Pure.
 *
 * As getopt_long() reads them: -l, -lVALUE, -l VALUE, several flags in one word; --name,
 * --name=VALUE, --name VALUE, a beginning of the name that no other has; options behind operands,
 * too, up to --.
 */
#ifndef LBD_CLI_H
#define LBD_CLI_H

#include "base.h"
#include "buf.h"

#include <stdbool.h>

enum cli_kind {
	CLI_VALUE, /* stored as its type has it */
	CLI_FLAG,  /* a bool, which becomes true */
	CLI_HELP   /* ends the table */
};

/* Of values that are not any text. */
struct cli_type {
	bool (*take)(
		void *at, const char *value); /* stores it; false: it is not what is expected */
	const char *expected;                 /* "a duration like 10s" */
};

struct cli_option {
	const char *name; /* of --name */
	char letter;      /* of -l, by which what is said calls it, too; '\0' = none */
	enum cli_kind kind : 8;
	unsigned short at;           /* where in the command's options it goes, in bytes */
	const struct cli_type *type; /* NULL: a const char *, whatever it says */
};
#define CLI_END                                                                                    \
	{                                                                                          \
		"help", 'h', CLI_HELP, 0, NULL                                                     \
	}

struct cli_syntax {
	const struct cli_option *options;
	int least, most;   /* operands */
	const char *lacks; /* what is asked where they are fewer */
};

enum cli_result {
	CLI_FINE,
	CLI_WANTS_HELP,
	CLI_WRONG,  /* the usage will help */
	CLI_REFUSED /* a value will not do */
};

/* Reads the n arguments behind the command's name into options, the command's own struct.  The
 * operands are in argv[0], argv[1], ... then, *ret_n of them; what is wrong is in say, a line. */
enum cli_result cli_parse(const char *command, const struct cli_syntax *syntax, int n, char **argv,
	void *options, int *ret_n, struct buf *say) MUST_CHECK;
/* "lbd COMMAND: WHAT: expected EXPECTED (got VALUE)" */
void cli_refuse(struct buf *say, const char *command, const char *what, const char *expected,
	const char *value);

#endif
