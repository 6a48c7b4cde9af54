/* SPDX-License-Identifier: Apache-2.0
 *
 * config_field.c - one field of the table: its default, what it accepts, and the words that say so.
 */
#include "config_field.h"

#include "config_scalar.h"

#include <stdio.h>
#include <string.h>

/* -- defaults -- */

unsigned config_field_word(const struct config_field *f, const char *s)
{
	unsigned i = 0;

	while (f->words[i] != NULL && strcmp(f->words[i], s) != 0)
		i++;
	return i;
}

static void default_duration(const struct config_field *f, uint64_t *ret_ms)
{
	REQUIRE(config_duration_parse(f->fallback, ret_ms) == 0);
}

void config_field_default(const struct config_field *f, void *at)
{
	switch (f->type) {
	case CONFIG_BOOL:
		*(bool *)at = strcmp(f->fallback, "true") == 0;
		break;
	case CONFIG_UINT:
		*(unsigned *)at = (unsigned)strtoul(f->fallback, NULL, 10);
		break;
	case CONFIG_U32:
		*(uint32_t *)at = (uint32_t)strtoul(f->fallback, NULL, 10);
		break;
	case CONFIG_DURATION:
		default_duration(f, at);
		break;
	case CONFIG_FACTOR:
		*(double *)at = strtod(f->fallback, NULL);
		break;
	case CONFIG_STRING:
	case CONFIG_WORD:
		*(const char **)at = f->fallback;
		break;
	case CONFIG_WORD_INDEX:
		*(unsigned *)at = config_field_word(f, f->fallback);
		break;
	case CONFIG_WORD_BOOL:
		*(bool *)at = config_field_word(f, f->fallback) == 1;
		break;
	case CONFIG_ADDRESS:
	case CONFIG_STRINGS:
	case CONFIG_RANGES:
	case CONFIG_LABELS:
	case CONFIG_MAP:
	case CONFIG_LIST:
	case CONFIG_ANY:
	case CONFIG_SAME_MAP:
		break;
	}
}

bool config_field_is_default(const struct config_field *f, const void *at)
{
	uint64_t want = 0;
	const char *s;

	switch (f->type) {
	case CONFIG_BOOL:
	case CONFIG_WORD_BOOL:
		config_field_default(f, &want);
		return *(const bool *)at == *(const bool *)(const void *)&want;
	case CONFIG_UINT:
	case CONFIG_WORD_INDEX:
		config_field_default(f, &want);
		return *(const unsigned *)at == *(const unsigned *)(const void *)&want;
	case CONFIG_DURATION:
		config_field_default(f, &want);
		return *(const uint64_t *)at == want;
	case CONFIG_STRING:
		s = *(const char *const *)at;
		return s == NULL || (f->fallback != NULL && strcmp(s, f->fallback) == 0);
	case CONFIG_U32:
	case CONFIG_FACTOR:
	case CONFIG_WORD:
	case CONFIG_ADDRESS:
	case CONFIG_STRINGS:
	case CONFIG_RANGES:
	case CONFIG_LABELS:
	case CONFIG_MAP:
	case CONFIG_LIST:
	case CONFIG_ANY:
	case CONFIG_SAME_MAP:
		break;
	}
	return false;
}

/* -- what is expected, from the table -- */

static void expect_range(const struct config_field *f, char *s, size_t size, const char *what)
{
	char low[CONFIG_DURATION_STRLEN], high[CONFIG_DURATION_STRLEN];

	if (f->type == CONFIG_DURATION) {
		config_duration_format(f->min, low);
		config_duration_format(f->max, high);
	} else {
		snprintf(low, sizeof low, "%llu", (unsigned long long)f->min);
		snprintf(high, sizeof high, "%llu", (unsigned long long)f->max);
	}
	snprintf(s, size, "must be %s%s%s..%s", what, f->flags & CONFIG_OR_ZERO ? "0 or " : "", low,
		high);
}

static void expect_words(const struct config_field *f, char *s, size_t size)
{
	size_t n = (size_t)snprintf(s, size, "must be ");

	for (size_t i = 0; f->words[i] != NULL && n < size; i++)
		n += (size_t)snprintf(s + n, size - n, "%s%s",
			i == 0                    ? ""
			: f->words[i + 1] == NULL ? " or "
						  : ", ",
			f->words[i]);
}

static void expect_text(const struct config_field *f, char *s, size_t size)
{
	static const char *const what[] = {
		[CONFIG_TEXT_ANY] = "a string",
		[CONFIG_TEXT_NAME] = "a name",
		[CONFIG_TEXT_OBJECT_NAME] =
			"a Kubernetes object's name, small letters, digits, - and .,",
		[CONFIG_TEXT_NAMESPACE] = "a namespace, small letters, digits and -,",
		[CONFIG_TEXT_INTERFACE] = "an interface's name",
		[CONFIG_TEXT_LINK] = "an interface's name, or can_reach: and an address,",
		[CONFIG_TEXT_PATH] = "an absolute path",
		[CONFIG_TEXT_LISTEN] = "node or an address",
		[CONFIG_TEXT_ADDRESS] = "an IPv4 or IPv6 address",
		[CONFIG_TEXT_COMMUNITY] = "a:b or large:a:b:c",
		[CONFIG_TEXT_LABEL_KEY] = "a label's key, name or prefix/name",
		[CONFIG_TEXT_LABEL_VALUE] = "a label's value",
	};
	uint64_t max = f->type == CONFIG_STRINGS ? CONFIG_MAX_NAME : f->max;

	snprintf(s, size, "must be %s of at most %llu characters", what[f->text],
		(unsigned long long)max);
	if (f->text >= CONFIG_TEXT_LISTEN)
		snprintf(s, size, "must be %s", what[f->text]);
}

const char *config_field_expect(const struct config_field *f, char s[CONFIG_EXPECT_STRLEN])
{
	static const char *const fixed[] = {
		[CONFIG_BOOL] = "must be true or false",
		[CONFIG_FACTOR] = "",
		[CONFIG_ADDRESS] = "must be an IPv4 or IPv6 address",
		[CONFIG_RANGES] = "must be a list of CIDRs and ranges",
		[CONFIG_LABELS] = "must be a map of strings",
		[CONFIG_MAP] = "must be a map",
		[CONFIG_LIST] = "must be a list",
		[CONFIG_ANY] = "must be a list or map",
		[CONFIG_SAME_MAP] = "must be a map",
	};

	switch (f->type) {
	case CONFIG_UINT:
	case CONFIG_U32:
		expect_range(f, s, CONFIG_EXPECT_STRLEN, "a whole number ");
		return s;
	case CONFIG_FACTOR:
	case CONFIG_DURATION:
		expect_range(f, s, CONFIG_EXPECT_STRLEN, "");
		return s;
	case CONFIG_STRING:
	case CONFIG_STRINGS:
		expect_text(f, s, CONFIG_EXPECT_STRLEN);
		return s;
	case CONFIG_WORD:
	case CONFIG_WORD_INDEX:
	case CONFIG_WORD_BOOL:
		expect_words(f, s, CONFIG_EXPECT_STRLEN);
		return s;
	case CONFIG_BOOL:
	case CONFIG_ADDRESS:
	case CONFIG_RANGES:
	case CONFIG_LABELS:
	case CONFIG_MAP:
	case CONFIG_LIST:
	case CONFIG_ANY:
	case CONFIG_SAME_MAP:
		break;
	}
	return fixed[f->type];
}

/* -- what is accepted -- */

bool config_field_in_range(const struct config_field *f, uint64_t v)
{
	return (v >= f->min && v <= f->max) || (v == 0 && f->flags & CONFIG_OR_ZERO);
}

static bool is_printable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

bool config_field_text_ok(enum config_text text, const char *s)
{
	uint32_t numbers[3];
	struct addr a;

	switch (text) {
	case CONFIG_TEXT_ANY:
	case CONFIG_TEXT_NAME:
		return is_printable(s);
	case CONFIG_TEXT_OBJECT_NAME:
		return config_object_name_ok(s);
	case CONFIG_TEXT_NAMESPACE:
		return strchr(s, '.') == NULL && config_object_name_ok(s);
	case CONFIG_TEXT_LINK:
		/* The kernel allows no interface a name with a colon. */
		return strchr(s, ':') != NULL ? config_can_reach(s, &a)
					      : config_field_text_ok(CONFIG_TEXT_INTERFACE, s);
	case CONFIG_TEXT_INTERFACE:
		return is_printable(s) && strpbrk(s, " /") == NULL && strlen(s) <= 64;
	case CONFIG_TEXT_PATH:
		return is_printable(s) && s[0] == '/';
	case CONFIG_TEXT_LISTEN:
		return strcmp(s, "node") == 0 || addr_parse(s, strlen(s), &a) == 0;
	case CONFIG_TEXT_ADDRESS:
		return addr_parse(s, strlen(s), &a) == 0;
	case CONFIG_TEXT_COMMUNITY:
		return config_community_parse(s, numbers) != CONFIG_COMMUNITY_NONE;
	case CONFIG_TEXT_LABEL_KEY:
		return config_label_key_ok(s);
	case CONFIG_TEXT_LABEL_VALUE:
		return config_label_value_ok(s);
	}
	return false;
}

/* The nearest word, as a hint. */
const char *config_nearest(const char *got, const char *const *words)
{
	const char *best = NULL;
	unsigned least = 0;

	for (; *words != NULL; words++) {
		unsigned l = config_likeness(got, *words);

		if (l > 0 && (best == NULL || l < least)) {
			best = *words;
			least = l;
		}
	}
	return best;
}
