/* SPDX-License-Identifier: Apache-2.0
 *
 * nodename.c - by which name of a Node lbd goes on this host.
 *
 * In:   an option, the environment, a configuration, the host's name.  Out: the name.
 */
#include "nodename.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_given(const char *name)
{
	return name != NULL && name[0] != '\0';
}

bool nodename_choose(const char *option, const char *configured, char ret_name[CONFIG_MAX_NAME + 1])
{
	const char *name = option;

	if (!is_given(name))
		name = getenv("NODE_NAME");
	if (!is_given(name))
		name = configured;
	if (is_given(name)) {
		(void)snprintf(ret_name, CONFIG_MAX_NAME + 1, "%s", name);
		return true;
	}
	if (gethostname(ret_name, CONFIG_MAX_NAME) != 0)
		ret_name[0] = '\0';
	ret_name[CONFIG_MAX_NAME] = '\0';
	for (char *p = ret_name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return false;
}
