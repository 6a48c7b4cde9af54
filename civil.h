/* SPDX-License-Identifier: Apache-2.0
 *
 * civil.h - the calendar.  Pure, header only.
 */
#ifndef LBD_CIVIL_H
#define LBD_CIVIL_H

#include <stdint.h>

/* Days from 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, "days_from_civil"). */
static inline int64_t civil_days(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

#endif
