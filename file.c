/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c - small files: read whole, and told when they change.
 *
 * Owns: two inotify watches (by libuv) and a timer for each watched path.
 * In:   folder events -> a debounce timer.
 * Out:  changed().
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEBOUNCE_MS = 100, RETRY_MS = 10000, WATCH_HANDLES = 3 };

static int read_fd(int fd, struct buf *out)
{
	char chunk[16384];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof chunk);

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf_add(out, chunk, (size_t)n);
		if (out->bad)
			return out->len + (size_t)n > out->max ? -EFBIG : -ENOMEM;
	}
}

int file_read(const char *path, struct buf *out)
{
	int fd, r;

	if (strcmp(path, "-") == 0)
		return read_fd(STDIN_FILENO, out);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	r = read_fd(fd, out);
	(void)close(fd);
	return r;
}

struct file_watch {
	char *path; /* owned */
	void (*changed)(void *ctx);
	void *ctx;
	uv_fs_event_t folder[2]; /* of the path as given, of the file it leads to */
	uv_timer_t timer;
	unsigned open_handles;
	bool watching, pending, closing;
};

static void on_closed(uv_handle_t *h)
{
	struct file_watch *w = h->data;

	if (--w->open_handles == 0) {
		free(w->path);
		free(w);
	}
}

static void on_timer(uv_timer_t *t);

static void on_event(uv_fs_event_t *h, const char *name, int events, int status)
{
	struct file_watch *w = h->data;

	(void)name;
	(void)events;
	if (status < 0)
		w->watching = false;
	w->pending = true;
	uv_timer_start(&w->timer, on_timer, DEBOUNCE_MS, 0);
}

/* Watches the folder that path lies in.  The folder itself may be replaced: the file's own watch
 * would not survive. */
static bool watch_folder(uv_fs_event_t *h, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	size_t n = slash != NULL ? (size_t)(slash - path) : 0;

	if (n >= sizeof folder)
		return false;
	if (slash == NULL) {
		memcpy(folder, ".", sizeof ".");
	} else {
		memcpy(folder, n > 0 ? path : "/", n > 0 ? n : 1);
		folder[n > 0 ? n : 1] = '\0';
	}
	return uv_fs_event_start(h, on_event, folder, 0) == 0;
}

static void watch_both(struct file_watch *w)
{
	char real[PATH_MAX];

	uv_fs_event_stop(&w->folder[0]);
	uv_fs_event_stop(&w->folder[1]);
	w->watching = watch_folder(&w->folder[0], w->path);
	if (realpath(w->path, real) != NULL && strcmp(real, w->path) != 0)
		(void)watch_folder(&w->folder[1], real);
}

static void on_timer(uv_timer_t *t)
{
	struct file_watch *w = t->data;
	bool tell = w->pending;

	w->pending = false;
	watch_both(w); /* a symlink may lead elsewhere now */
	if (!w->watching)
		uv_timer_start(&w->timer, on_timer, RETRY_MS, 0);
	if (tell || !w->watching)
		w->changed(w->ctx);
}

struct file_watch *file_watch_new(
	uv_loop_t *loop, const char *path, void (*changed)(void *ctx), void *ctx)
{
	struct file_watch *w = calloc(1, sizeof *w);

	if (w == NULL || (w->path = strdup(path)) == NULL) {
		free(w);
		return NULL;
	}
	w->changed = changed;
	w->ctx = ctx;
	REQUIRE(uv_fs_event_init(loop, &w->folder[0]) == 0);
	REQUIRE(uv_fs_event_init(loop, &w->folder[1]) == 0);
	REQUIRE(uv_timer_init(loop, &w->timer) == 0);
	w->folder[0].data = w->folder[1].data = w->timer.data = w;
	w->open_handles = WATCH_HANDLES;
	watch_both(w);
	if (!w->watching)
		uv_timer_start(&w->timer, on_timer, RETRY_MS, 0);
	return w;
}

void file_watch_close(struct file_watch *w)
{
	if (w == NULL || w->closing)
		return;
	w->closing = true;
	uv_close((uv_handle_t *)&w->folder[0], on_closed);
	uv_close((uv_handle_t *)&w->folder[1], on_closed);
	uv_close((uv_handle_t *)&w->timer, on_closed);
}
