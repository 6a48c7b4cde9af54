/* SPDX-License-Identifier: Apache-2.0
 *
 * snapfile.c - the last picture on disk (OWNERSHIP R4): kept in the runtime directory, and less
 * often in the state directory, which survives a power cut; read at start.
 *
 * Owns: two files, one of which may be under way.
 * In:   marks when the picture changed.  Out: the files; at start the picture, for a node whose API
 *       does not answer.
 *
 * A file is streamed: the loop makes a slice of text, libuv's pool writes it, and so on; neither
 * waits for the other, and there is never a second copy of the picture.  It is written beside the
 * one before and put in its place whole.  What cannot be written is said once and tried again.
 */
#include "daemon.h"
#include "log.h"
#include "rt.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	USE_MS = 1000,         /* the API has this long to answer before the old picture is used */
	RUNTIME_MS = 1000,     /* between two files there, */
	STATE_MS = 60 * 1000,  /* and there */
	FAILED_MS = 60 * 1000, /* before the next try */
	MAX_SHARE = 20,        /* of the time, one part at most is spent on files, */
	MAX_WAITS = 5,         /* but one that took long delays the next by so many of its own */
	FILE_MODE = 0600,
};

struct target {
	char folder[PATH_MAX - sizeof "/snapshot.new"];
	uint64_t every_ms;
	bool durable;     /* synced to the disk */
	bool dirty;       /* the picture changed since the file was begun */
	bool failed;      /* and that was said */
	uint64_t next_ms; /* no file before */
	uint64_t sum;     /* of the last one written */
};

enum { RUNTIME, STATE, TARGETS };

struct snapfile {
	struct daemon *d; /* borrowed; NULL once closed */
	struct target target[TARGETS];
	uint64_t sequence; /* the highest known */
	bool loaded;       /* there is a picture from before */
	bool leases;       /* one changed: whether in what counts is to be seen */
	uint64_t look_ms, lease_sum;

	struct target *job; /* being written; NULL = none */
	uint64_t begun_ms;
	struct snapshot_writer *writer; /* owned; of the job */
	struct buf slice;               /* owned; the worker's while busy */
	uv_work_t work;
	bool busy, last;
	int fd, err; /* the worker's while busy; fd -1 = not open yet */
	int tid;     /* of the worker; likewise */
};

/* -- paths -- */

/* systemd says where, else the usual place. */
static void set_folder(struct target *t, const char *variable, const char *fallback)
{
	const char *folder = getenv(variable);

	if (folder == NULL || folder[0] == '\0')
		folder = fallback;
	/* RuntimeDirectory= and StateDirectory= may name several. */
	(void)snprintf(t->folder, sizeof t->folder, "%.*s", (int)strcspn(folder, ":"), folder);
}

static void path_of(const struct target *t, const char *suffix, char ret_path[PATH_MAX])
{
	(void)snprintf(ret_path, PATH_MAX, "%s/snapshot%s", t->folder, suffix);
}

static struct snapshot_owner owner(const struct daemon *d)
{
	return (struct snapshot_owner){d->node, d->conf->elections.namespace_};
}

/* -- the worker -- */

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno != EINTR)
			return -errno;
		p += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return 0;
}

static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

/* The file is whole: it takes its place. */
static int finish(struct snapfile *s)
{
	char from[PATH_MAX], to[PATH_MAX];
	int err = 0;

	path_of(s->job, ".new", from);
	path_of(s->job, "", to);
	if (s->job->durable && fsync(s->fd) < 0)
		err = -errno;
	if (close(s->fd) < 0 && err == 0)
		err = -errno;
	s->fd = -1;
	if (err == 0 && rename(from, to) < 0)
		err = -errno;
	if (err == 0 && s->job->durable)
		err = sync_folder(s->job->folder);
	return err;
}

static void give_up(struct snapfile *s)
{
	char path[PATH_MAX];

	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	path_of(s->job, ".new", path);
	(void)unlink(path);
}

static int open_new(struct snapfile *s)
{
	char path[PATH_MAX];

	path_of(s->job, ".new", path);
	s->fd = open(
		path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)FILE_MODE);
	return s->fd < 0 ? -errno : 0;
}

/* In the pool. */
static void on_work(uv_work_t *work)
{
	struct snapfile *s = work->data;

	s->err = s->fd < 0 ? open_new(s) : 0;
	if (s->err == 0)
		s->err = write_all(s->fd, s->slice.p, s->slice.len);
	if (s->err == 0 && s->last)
		s->err = finish(s);
	if (s->err != 0)
		give_up(s);
	s->tid = rt_job_done();
}

/* -- a file, slice by slice -- */

static void end_job(struct snapfile *s)
{
	snapshot_writer_free(s->writer);
	s->writer = NULL;
	s->job = NULL;
	buf_free(&s->slice);
}

static void job_failed(struct daemon *d, int err, uint64_t now_ms)
{
	struct snapfile *s = d->snapfile;
	struct target *t = s->job;

	if (!t->failed)
		log_warn("snapshot",
			"the picture of the cluster cannot be kept there: after a restart without "
			"the API this node could not serve from it",
			"file", t->folder, "err", strerror(-err), NULL);
	t->failed = t->dirty = true;
	t->next_ms = now_ms + FAILED_MS;
	end_job(s);
}

static void job_done(struct daemon *d, uint64_t now_ms)
{
	struct snapfile *s = d->snapfile;
	struct target *t = s->job;
	uint64_t pause_ms =
		time_min(MAX_SHARE * (now_ms - s->begun_ms), (uint64_t)MAX_WAITS * t->every_ms);

	if (t->failed)
		log_info("snapshot", "the picture of the cluster is kept again", "file", t->folder,
			NULL);
	t->failed = false;
	t->sum = snapshot_sum(s->writer);
	t->next_ms = now_ms + (t->every_ms > pause_ms ? t->every_ms : pause_ms);
	s->sequence++;
	end_job(s);
	/* What the other one has already need not be written there. */
	for (size_t i = 0; i < TARGETS; i++)
		if (s->target[i].sum == t->sum && !t->dirty)
			s->target[i].dirty = false;
}

static void on_worked(uv_work_t *work, int status);

static void next_slice(struct daemon *d, uint64_t now_ms)
{
	struct snapfile *s = d->snapfile;
	int r;

	buf_reset(&s->slice);
	r = snapshot_next(s->writer, d->cluster, &s->slice);
	s->last = r == 0;
	if (s->last)
		snapshot_tail(s->writer, s->sequence + 1, &s->slice);
	if (r >= 0 && s->slice.bad)
		r = -ENOMEM;
	if (r < 0) {
		give_up(s); /* a close and an unlink, once in a long while */
		if (r == -ESTALE) {
			s->job->dirty = true;
			end_job(s);
		} else {
			job_failed(d, r, now_ms);
		}
		return;
	}
	s->busy = true;
	REQUIRE(uv_queue_work(&d->loop, &s->work, on_work, on_worked) == 0);
}

static void snapfile_free(struct snapfile *s)
{
	snapshot_writer_free(s->writer);
	buf_free(&s->slice);
	free(s);
}

static void on_worked(uv_work_t *work, int status)
{
	struct snapfile *s = work->data;
	struct daemon *d = s->d;
	uint64_t now_ms = daemon_now_ms();

	(void)status; /* never cancelled */
	rt_job_over(s->tid);
	s->busy = false;
	if (d == NULL) {
		if (!s->last && s->err == 0)
			give_up(s);
		snapfile_free(s);
		return;
	}
	if (s->err != 0)
		job_failed(d, s->err, now_ms);
	else if (s->last)
		job_done(d, now_ms);
	else
		next_slice(d, now_ms);
	if (s->job == NULL)
		daemon_mark(d);
}

static void begin_job(struct daemon *d, struct target *t, uint64_t now_ms)
{
	const struct snapshot_owner o = owner(d);
	struct snapfile *s = d->snapfile;
	char *claims = elect_claims_text(d->elect);

	s->writer = snapshot_writer_new(&o, claims);
	free(claims);
	s->job = t;
	s->begun_ms = now_ms;
	buf_init(&s->slice, SNAPSHOT_SLICE_MAX);
	t->dirty = false;
	if (s->writer != NULL)
		next_slice(d, now_ms);
	else
		job_failed(d, -ENOMEM, now_ms);
}

/* -- when -- */

void snapfile_mark(struct daemon *d)
{
	for (size_t i = 0; d->snapfile != NULL && i < TARGETS; i++)
		d->snapfile->target[i].dirty = true;
}

void snapfile_on_lease(struct daemon *d)
{
	if (d->snapfile != NULL)
		d->snapfile->leases = true;
}

/* Renewals come all the time, and say nothing new. */
static void look_at_leases(struct daemon *d, uint64_t now_ms)
{
	struct snapfile *s = d->snapfile;
	uint64_t sum;

	if (!s->leases || now_ms < s->look_ms)
		return;
	s->leases = false;
	s->look_ms = now_ms + RUNTIME_MS;
	sum = snapshot_sum_leases(d->cluster);
	if (sum != s->lease_sum)
		snapfile_mark(d);
	s->lease_sum = sum;
}

static bool may_write(const struct daemon *d)
{
	return daemon_may_act(d) && d->phase == DAEMON_RUNNING;
}

/* The API had its time. */
static void use_old_picture(struct daemon *d, uint64_t now_ms)
{
	char n[24];

	if (!d->snapfile->loaded || daemon_may_act(d) || now_ms < d->started_ms + USE_MS)
		return;
	log_warn("snapshot",
		"the API does not answer: serving from the picture of before the start", "services",
		log_number((int64_t)cluster_count(d->cluster, CLUSTER_SERVICE), n), NULL);
	d->restored = true;
	d->rebuild = true;
	elect_on_snapshot(d->elect, now_ms);
	daemon_mark(d);
}

void snapfile_use(struct daemon *d, uint64_t now_ms)
{
	if (d->snapfile != NULL)
		use_old_picture(d, now_ms);
}

void snapfile_run(struct daemon *d, uint64_t now_ms)
{
	struct snapfile *s = d->snapfile;

	if (s == NULL || !may_write(d))
		return;
	look_at_leases(d, now_ms);
	for (size_t i = 0; i < TARGETS && s->job == NULL; i++)
		if (s->target[i].dirty && now_ms >= s->target[i].next_ms)
			begin_job(d, &s->target[i], now_ms);
}

uint64_t snapfile_next_deadline(const struct daemon *d)
{
	const struct snapfile *s = d->snapfile;
	uint64_t at = TIME_NEVER;

	if (s == NULL || s->job != NULL)
		return at;
	if (s->loaded && !daemon_may_act(d))
		at = d->started_ms + USE_MS;
	if (!may_write(d))
		return at;
	if (s->leases)
		at = time_min(at, s->look_ms);
	for (size_t i = 0; i < TARGETS; i++)
		if (s->target[i].dirty)
			at = time_min(at, s->target[i].next_ms);
	return at;
}

/* -- at start and at the end -- */

/* Reads a file; true when it is fine, and newer than what was found before. */
static bool read_target(struct daemon *d, const struct target *t, struct buf *ret_text)
{
	const struct snapshot_owner o = owner(d);
	char path[PATH_MAX];
	uint64_t sequence;
	enum snapshot_fault fault;
	int err;

	path_of(t, "", path);
	err = file_read(path, ret_text);
	if (err == -ENOENT || err == -ENOTDIR)
		return false;
	if (err != 0) {
		log_warn("snapshot", "not read", "file", path, "err", strerror(-err), NULL);
		return false;
	}
	fault = snapshot_check(
		ret_text->p != NULL ? ret_text->p : "", ret_text->len, &o, &sequence);
	if (fault != SNAPSHOT_FINE) {
		log_warn("snapshot", "ignored", "file", path, "err", snapshot_fault_text(fault),
			NULL);
		return false;
	}
	if (d->snapfile->loaded && sequence <= d->snapfile->sequence)
		return false;
	d->snapfile->loaded = true;
	d->snapfile->sequence = sequence;
	return true;
}

static void load(struct daemon *d)
{
	struct buf best, other, swap;

	buf_init(&best, SNAPSHOT_MAX_BYTES);
	for (size_t i = 0; i < TARGETS; i++) {
		buf_init(&other, SNAPSHOT_MAX_BYTES);
		if (read_target(d, &d->snapfile->target[i], &other)) {
			swap = best;
			best = other;
			other = swap;
		}
		buf_free(&other);
	}
	if (d->snapfile->loaded)
		(void)snapshot_apply(best.p, best.len, d->cluster);
	buf_free(&best);
}

int snapfile_open(struct daemon *d)
{
	struct snapfile *s;

	if (d->dry != NULL)
		return 0;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	s->d = d;
	s->fd = -1;
	s->work.data = s;
	s->target[RUNTIME].every_ms = RUNTIME_MS;
	s->target[STATE].every_ms = STATE_MS;
	s->target[STATE].durable = true;
	set_folder(&s->target[RUNTIME], "RUNTIME_DIRECTORY", "/run/lbd");
	set_folder(&s->target[STATE], "STATE_DIRECTORY", "/var/lib/lbd");
	d->snapfile = s;
	load(d);
	return 0;
}

void snapfile_close(struct daemon *d)
{
	struct snapfile *s = d->snapfile;

	d->snapfile = NULL;
	if (s == NULL)
		return;
	s->d = NULL;
	if (!s->busy)
		snapfile_free(s);
}
