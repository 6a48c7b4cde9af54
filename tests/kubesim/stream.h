/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.h - a watch: reads the ring of its collection at its own pace.
 */
#ifndef KUBESIM_STREAM_H
#define KUBESIM_STREAM_H

#include "render.h"
#include "select.h"
#include "sim.h"

struct stream; /* opaque */

struct stream_conf {
	struct render render;
	struct filter *filter; /* taken over */
	uint64_t from_rv;      /* events after this one */
	bool initial;          /* first what there is, as ADDED */
	bool initial_end;      /* ... and then a bookmark that says so */
	bool bookmarks;
	uint64_t timeout_ms, bookmark_ms;
};

/* Initial events and, for a version that is too old, the ERROR event go to out. Never NULL. */
struct stream *stream_new(
	struct sim *s, struct coll *c, struct stream_conf *conf, uint64_t now_ms, struct text *out);
void stream_free(struct stream *st);
bool stream_has_news(const struct stream *st);
/* Appends events until out holds about max bytes. False: the stream is over. */
bool stream_pump(struct stream *st, uint64_t now_ms, size_t max, struct text *out);
/* From now on nothing more comes, nor an end. */
void stream_mute(struct stream *st);
uint64_t stream_deadline(const struct stream *st);

#endif
