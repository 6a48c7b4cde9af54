/* SPDX-License-Identifier: Apache-2.0
 *
 * glob.h - does a name match a shell pattern?  Pure.
 */
#ifndef LBD_GLOB_H
#define LBD_GLOB_H

#include <stdbool.h>

/* As fnmatch(3) without flags in the C locale: * ? [a-z] [!a-z] [[:digit:]], and \ before what
 * stands for itself. */
bool glob_matches(const char *pattern, const char *name);

#endif
