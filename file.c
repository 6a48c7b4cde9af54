/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c - small files: read whole, and told when they change.
 *
 * Owns: two inotify watches (by libuv) and a timer for each watched path.
 * In:   folder events -> a debounce timer; without events, a look now and then.
 * Out:  changed().
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEBOUNCE_MS = 100, MAX_DEBOUNCE_MS = 1000, RETRY_MS = 1000, LOOK_MS = 10000 };
enum { WATCH_HANDLES = 3 };
enum { FILE_MODE = 0600 };

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

int file_replace(const char *path, const void *p, size_t n)
{
	char fresh[PATH_MAX];
	int fd, err = 0;

	if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
		return -ENAMETOOLONG;
	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)FILE_MODE);
	if (fd < 0)
		return -errno;
	if (write(fd, p, n) != (ssize_t)n)
		err = -EIO;
	if (close(fd) < 0 || (err == 0 && rename(fresh, path) < 0))
		err = -errno;
	if (err != 0)
		(void)unlink(fresh);
	return err;
}

/* What tells one state of a file from another. */
struct look {
	bool there;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec written, changed;
};

struct file_watch {
	char *path; /* owned */
	void (*changed)(void *ctx);
	void *ctx;
	uv_fs_event_t folder[2]; /* of the path as given, of the file it leads to */
	uv_timer_t timer;
	struct look last;
	uint64_t pending_until_ms; /* of the loop's clock */
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
	uint64_t now_ms = uv_now(h->loop), due_ms = now_ms + DEBOUNCE_MS;

	(void)name;
	(void)events;
	if (status < 0)
		w->watching = false;
	if (!w->pending)
		w->pending_until_ms = now_ms + MAX_DEBOUNCE_MS;
	w->pending = true;
	due_ms = time_min(due_ms, w->pending_until_ms);
	uv_timer_start(&w->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
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

static struct look look(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct look){.there = false};
	return (struct look){true, st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
}

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const struct look *a, const struct look *b)
{
	return a->there == b->there && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       is_same_time(a->written, b->written) && is_same_time(a->changed, b->changed);
}

static void on_timer(uv_timer_t *t)
{
	struct file_watch *w = t->data;
	struct look now = look(w->path);
	bool tell = w->pending || !is_same(&now, &w->last);

	w->pending = false;
	w->last = now;
	if (tell || !w->watching)
		watch_both(w); /* a symlink may lead elsewhere now */
	uv_timer_start(&w->timer, on_timer, w->watching ? LOOK_MS : RETRY_MS, 0);
	if (tell)
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
	w->last = look(path);
	uv_timer_start(&w->timer, on_timer, w->watching ? LOOK_MS : RETRY_MS, 0);
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
