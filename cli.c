/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.c - a sub-command's options by a table.
 *
 * In:   arguments, a table.  Out: the command's options, its operands; or one line that says what
 * is wrong. Not getopt_long(): glibc's and musl's differ in what is left of argv after an error,
 * and in POSIXLY_CORRECT.
 */
#include "cli.h"

#include "config_field.h"

#include <stdio.h>
#include <string.h>

enum { MAX_OPTIONS = 16 };

struct parse {
	const char *command;
	const struct cli_option *table;
	int n;
	char **argv;
	int i; /* the argument under way */
	void *options;
	struct buf *say;
};

void cli_refuse(struct buf *say, const char *command, const char *what, const char *expected,
	const char *value)
{
	buf_addf(say, "lbd %s: %s: expected %s (got %s)\n", command, what, expected,
		*value != '\0' ? value : "nothing");
}

static enum cli_result wrong(const struct parse *p, const char *what)
{
	buf_addf(p->say, "lbd %s: %s: %s\n", p->command, p->argv[p->i], what);
	return CLI_WRONG;
}

static enum cli_result unknown_name(const struct parse *p)
{
	const char *words[MAX_OPTIONS + 1] = {NULL}, *near;

	for (size_t i = 0; i < MAX_OPTIONS; i++) {
		words[i] = p->table[i].name;
		if (p->table[i].kind == CLI_HELP)
			break;
	}
	near = config_nearest(p->argv[p->i], words);
	buf_addf(p->say, "lbd %s: unknown option %s", p->command, p->argv[p->i]);
	if (near != NULL)
		buf_addf(p->say, ", did you mean --%s?", near);
	buf_addc(p->say, '\n');
	return CLI_WRONG;
}

/* By its n characters, or by its first n, if only one begins so. */
static const struct cli_option *find_name(const struct cli_option *o, const char *name, size_t n)
{
	const struct cli_option *found = NULL;
	size_t n_found = 0;

	do {
		if (strncmp(o->name, name, n) != 0)
			continue;
		found = o;
		n_found++;
		if (o->name[n] == '\0')
			return o;
	} while ((o++)->kind != CLI_HELP);
	return n_found == 1 ? found : NULL;
}

static const struct cli_option *find_letter(const struct cli_option *o, char letter)
{
	do {
		if (o->letter == letter)
			return o;
	} while ((o++)->kind != CLI_HELP);
	return NULL;
}

static enum cli_result take_flag(const struct parse *p, const struct cli_option *o)
{
	if (o->kind == CLI_HELP)
		return CLI_WANTS_HELP;
	*(bool *)((char *)p->options + o->at) = true;
	return CLI_FINE;
}

/* value: what stands behind the option in its own argument; NULL = nothing, so the next one is it.
 */
static enum cli_result take_value(struct parse *p, const struct cli_option *o, const char *value)
{
	char name[32] = {'-', o->letter, '\0'};
	void *at = (char *)p->options + o->at;

	if (value == NULL && p->i + 1 == p->n)
		return wrong(p, "needs a value");
	if (value == NULL)
		value = p->argv[++p->i];
	if (o->type == NULL) {
		*(const char **)at = value;
		return CLI_FINE;
	}
	if (o->type->take(at, value))
		return CLI_FINE;
	if (o->letter == '\0')
		(void)snprintf(name, sizeof name, "--%s", o->name);
	cli_refuse(p->say, p->command, name, o->type->expected, value);
	return CLI_REFUSED;
}

static enum cli_result take_name(struct parse *p, const char *name)
{
	size_t n = strcspn(name, "=");
	const struct cli_option *o = find_name(p->table, name, n);
	const char *value = name[n] == '=' ? name + n + 1 : NULL;

	if (o == NULL)
		return unknown_name(p);
	if (o->kind == CLI_VALUE)
		return take_value(p, o, value);
	return value == NULL ? take_flag(p, o) : wrong(p, "takes no value");
}

static enum cli_result take_letters(struct parse *p, const char *letters)
{
	enum cli_result r = CLI_FINE;

	for (; r == CLI_FINE && *letters != '\0'; letters++) {
		const struct cli_option *o = find_letter(p->table, *letters);

		if (o == NULL) {
			buf_addf(p->say, "lbd %s: unknown option -%c\n", p->command, *letters);
			return CLI_WRONG;
		}
		if (o->kind == CLI_VALUE)
			return take_value(p, o, letters[1] != '\0' ? letters + 1 : NULL);
		r = take_flag(p, o);
	}
	return r;
}

static enum cli_result take_operands(const struct parse *p, const struct cli_syntax *syntax, int n)
{
	if (n < syntax->least)
		buf_addf(p->say, "lbd %s: %s\n", p->command, syntax->lacks);
	else if (n > syntax->most)
		buf_addf(p->say, "lbd %s: unexpected argument %s\n", p->command,
			p->argv[syntax->most]);
	else
		return CLI_FINE;
	return CLI_WRONG;
}

enum cli_result cli_parse(const char *command, const struct cli_syntax *syntax, int n, char **argv,
	void *options, int *ret_n, struct buf *say)
{
	struct parse p = {command, syntax->options, n, argv, 0, options, say};
	enum cli_result r = CLI_FINE;
	bool ended = false;
	int n_operands = 0;

	for (; r == CLI_FINE && p.i < n; p.i++) {
		char *arg = argv[p.i];

		if (ended || arg[0] != '-' || arg[1] == '\0')
			argv[n_operands++] = arg;
		else if (arg[1] != '-')
			r = take_letters(&p, arg + 1);
		else if (arg[2] != '\0')
			r = take_name(&p, arg + 2);
		else
			ended = true;
	}
	if (r == CLI_FINE)
		r = take_operands(&p, syntax, n_operands);
	if (r == CLI_FINE)
		*ret_n = n_operands;
	return r;
}
