/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cli.c - options as getopt_long() reads them, and what is said of those that will not do.
 */
#include "base.h"
#include "check.h"
#include "cli.h"

#include <limits.h>
#include <stddef.h>

struct options {
	const char *name, *file;
	bool json, all, brief;
	int number;
};

static bool take_json(void *at, const char *value)
{
	*(bool *)at = true;
	return strcmp(value, "json") == 0;
}

static bool take_digit(void *at, const char *value)
{
	*(int *)at = value[0] - '0';
	return value[0] >= '0' && value[0] <= '9' && value[1] == '\0';
}

static const struct cli_type digit = {take_digit, "a digit"}, json = {take_json, "json"};

#define AT(field) offsetof(struct options, field)
static const struct cli_option table[] = {
	{"node-name", '\0', CLI_VALUE, AT(name), NULL},
	{"node", '\0', CLI_VALUE, AT(number), &digit},
	{"file", 'f', CLI_VALUE, AT(file), NULL},
	{"output", 'o', CLI_VALUE, AT(json), &json},
	{"all", 'a', CLI_FLAG, AT(all), NULL},
	{"brief", 'b', CLI_FLAG, AT(brief), NULL},
	CLI_END,
};

/* Operands as one text, "|" between them. */
static const char *joined(char **argv, int n, char *s, size_t len)
{
	s[0] = '\0';
	for (int i = 0; i < n; i++)
		(void)snprintf(s + strlen(s), len - strlen(s), "%s%s", i > 0 ? "|" : "", argv[i]);
	return s;
}

struct outcome {
	enum cli_result result;
	struct options o;
	char operands[256], said[256];
};

/* line: arguments with a blank between them; "" is none, ~ is an empty one. */
static struct outcome parse(const struct cli_syntax *syntax, const char *line)
{
	static char text[256]; /* options point into it */
	struct outcome r = {.o = {.number = -1}};
	char *argv[32], *at = text, *word;
	struct buf say;
	int n = 0, n_operands = -1;

	(void)snprintf(text, sizeof text, "%s", line);
	while ((word = strsep(&at, " ")) != NULL)
		if (*word != '\0')
			argv[n++] = strcmp(word, "~") == 0 ? word + 1 : word;
	argv[n] = NULL;
	buf_init(&say, 4096);
	r.result = cli_parse("try", syntax, n, argv, &r.o, &n_operands, &say);
	CHECK_INT(n_operands >= 0, r.result == CLI_FINE);
	CHECK_INT(say.len > 0, r.result == CLI_WRONG || r.result == CLI_REFUSED);
	(void)joined(argv, n_operands, r.operands, sizeof r.operands);
	(void)snprintf(r.said, sizeof r.said, "%s", say.p != NULL ? say.p : "");
	buf_free(&say);
	return r;
}

static const struct cli_syntax any = {table, 0, INT_MAX, NULL};

static void test_read(void)
{
	static const struct {
		const char *line, *name, *file, *operands;
		bool json, all, brief;
		int number;
	} rows[] = {
		{"", "", "", "", false, false, false, -1},
		{"x y", "", "", "x|y", false, false, false, -1},
		{"-f x", "", "x", "", false, false, false, -1},
		{"-fx", "", "x", "", false, false, false, -1},
		{"-f=x", "", "=x", "", false, false, false, -1},
		{"--file x", "", "x", "", false, false, false, -1},
		{"--file=x", "", "x", "", false, false, false, -1},
		{"--file=", "", "", "", false, false, false, -1},
		{"--file=a=b", "", "a=b", "", false, false, false, -1},
		{"--fi=x", "", "x", "", false, false, false, -1},
		{"--f x y", "", "x", "y", false, false, false, -1},
		{"-f ~ y", "", "", "y", false, false, false, -1},
		{"-f -a", "", "-a", "", false, false, false, -1},
		{"-f -- -a", "", "--", "", false, true, false, -1},
		{"-f x -f y", "", "y", "", false, false, false, -1},
		{"-ab", "", "", "", false, true, true, -1},
		{"-a --brief", "", "", "", false, true, true, -1},
		{"-abfx", "", "x", "", false, true, true, -1},
		{"-abf x z", "", "x", "z", false, true, true, -1},
		{"x -a y -ojson z", "", "", "x|y|z", true, true, false, -1},
		{"x -- -a --file", "", "", "x|-a|--file", false, false, false, -1},
		{"-- --", "", "", "--", false, false, false, -1},
		{"- ~ -a", "", "", "-|", false, true, false, -1},
		/* the whole name goes before one that begins so */
		{"--node 7", "", "", "", false, false, false, 7},
		{"--node=7 --node-n=x", "x", "", "", false, false, false, 7},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outcome r;

		check_row = rows[i].line;
		r = parse(&any, rows[i].line);
		CHECK_INT(r.result, CLI_FINE);
		CHECK_STR(r.o.name != NULL ? r.o.name : "", rows[i].name);
		CHECK_STR(r.o.file != NULL ? r.o.file : "", rows[i].file);
		CHECK_STR(r.operands, rows[i].operands);
		CHECK_INT(r.o.json, rows[i].json);
		CHECK_INT(r.o.all, rows[i].all);
		CHECK_INT(r.o.brief, rows[i].brief);
		CHECK_INT(r.o.number, rows[i].number);
	}
}

static void test_refused(void)
{
	static const struct {
		const char *line;
		enum cli_result result;
		const char *said;
	} rows[] = {
		{"-x", CLI_WRONG, "lbd try: unknown option -x\n"},
		{"-ax", CLI_WRONG, "lbd try: unknown option -x\n"},
		{"-a-", CLI_WRONG, "lbd try: unknown option --\n"},
		{"-:", CLI_WRONG, "lbd try: unknown option -:\n"},
		{"-\xff", CLI_WRONG, "lbd try: unknown option -\xff\n"},
		{"--bogus", CLI_WRONG, "lbd try: unknown option --bogus\n"},
		{"--bogus=1", CLI_WRONG, "lbd try: unknown option --bogus=1\n"},
		{"--=x", CLI_WRONG, "lbd try: unknown option --=x\n"},
		{"---", CLI_WRONG, "lbd try: unknown option ---\n"},
		{"--fiel", CLI_WRONG, "lbd try: unknown option --fiel, did you mean --file?\n"},
		{"--filex", CLI_WRONG, "lbd try: unknown option --filex, did you mean --file?\n"},
		{"--hepl", CLI_WRONG, "lbd try: unknown option --hepl, did you mean --help?\n"},
		/* two begin so */
		{"--nod 1", CLI_WRONG, "lbd try: unknown option --nod, did you mean --node?\n"},
		{"--all=1", CLI_WRONG, "lbd try: --all=1: takes no value\n"},
		{"--al=", CLI_WRONG, "lbd try: --al=: takes no value\n"},
		{"--help=1", CLI_WRONG, "lbd try: --help=1: takes no value\n"},
		{"-f", CLI_WRONG, "lbd try: -f: needs a value\n"},
		{"-abf", CLI_WRONG, "lbd try: -abf: needs a value\n"},
		{"x --fil", CLI_WRONG, "lbd try: --fil: needs a value\n"},
		{"-o yaml", CLI_REFUSED, "lbd try: -o: expected json (got yaml)\n"},
		{"--output=", CLI_REFUSED, "lbd try: -o: expected json (got nothing)\n"},
		{"--node ten", CLI_REFUSED, "lbd try: --node: expected a digit (got ten)\n"},
		/* the first that is wrong is told, help that is met before it goes first */
		{"-x --help", CLI_WRONG, "lbd try: unknown option -x\n"},
		{"-o yaml -x", CLI_REFUSED, "lbd try: -o: expected json (got yaml)\n"},
		{"--help -x", CLI_WANTS_HELP, ""},
		{"x -ahx", CLI_WANTS_HELP, ""},
		{"--he", CLI_WANTS_HELP, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct outcome r;

		check_row = rows[i].line;
		r = parse(&any, rows[i].line);
		CHECK_INT(r.result, rows[i].result);
		CHECK_STR(r.said, rows[i].said);
	}
}

static void test_operands(void)
{
	static const struct cli_syntax two = {table, 1, 2, "which?"};
	static const struct cli_syntax none = {table, 0, 0, NULL};

	CHECK_STR(parse(&two, "").said, "lbd try: which?\n");
	CHECK_STR(parse(&two, "-a").said, "lbd try: which?\n");
	CHECK_STR(parse(&two, "a -a").operands, "a");
	CHECK_STR(parse(&two, "a -- -b").operands, "a|-b");
	CHECK_STR(parse(&two, "a b -a c d").said, "lbd try: unexpected argument c\n");
	CHECK_STR(parse(&none, "-- -a").said, "lbd try: unexpected argument -a\n");
	CHECK_INT(parse(&none, "~").result, CLI_WRONG);
	CHECK_INT(parse(&none, "-a").result, CLI_FINE);
}

/* Not a byte is read beyond the arguments, however long they are; nor any argument beyond n. */
static void test_hostile(void)
{
	enum { LONG = 128 * 1024 };
	static const char *const heads[] = {"--", "-f", "--file=", "-", "--node=", "-o", ""};
	struct options o = {0};
	char *argv[2] = {NULL, NULL};
	struct buf say;
	int n = -1;

	buf_init(&say, 4 * LONG);
	CHECK_INT(cli_parse("try", &any, 0, argv, &o, &n, &say), CLI_FINE);
	CHECK_INT(n, 0);
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		char *text = malloc(LONG);
		unsigned char *guarded;
		enum cli_result r;

		check_row = heads[i];
		memset(text, 'a', LONG - 1);
		text[LONG - 1] = '\0';
		memcpy(text, heads[i], strlen(heads[i]));
		guarded = check_guard(text, LONG);
		argv[0] = (char *)guarded;
		buf_reset(&say);
		r = cli_parse("try", &any, 1, argv, &o, &n, &say);
		CHECK(r == CLI_FINE || say.len > 0);
		CHECK_INT(say.bad, false);
		check_unguard(guarded, LONG);
		free(text);
	}
	/* what is said may be cut short, nothing else */
	buf_free(&say);
	buf_init(&say, 10);
	argv[0] = (char[]){"--unheard-of"};
	CHECK_INT(cli_parse("try", &any, 1, argv, &o, &n, &say), CLI_WRONG);
	buf_free(&say);
}

CHECK_MAIN("test_cli", CHECK_TEST(test_read), CHECK_TEST(test_refused), CHECK_TEST(test_operands),
	CHECK_TEST(test_hostile))
