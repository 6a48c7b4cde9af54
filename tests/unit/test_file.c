/* SPDX-License-Identifier: Apache-2.0
 *
 * test_file.c - whole files read; each way in which people and kubelet change a file is noticed.
 *
 * Each row works in a folder of its own; a change is waited for up to a deadline.
 */
#include "check.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEADLINE_MS = 5000, QUIET_MS = 200 };

struct world {
	char root[64]; /* the working directory while a row runs */
	uv_loop_t loop;
	uv_timer_t deadline;
	struct file_watch *watch;
	unsigned changes;
	bool late;
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	CHECK(f != NULL);
	if (f == NULL)
		return;
	(void)fputs(text, f);
	CHECK(fclose(f) == 0);
}

static void on_changed(void *ctx)
{
	struct world *w = ctx;

	w->changes++;
}

static void on_deadline(uv_timer_t *t)
{
	struct world *w = t->data;

	w->late = true;
}

static void run_for(struct world *w, uint64_t ms, unsigned until_changes)
{
	w->late = false;
	uv_update_time(&w->loop);
	uv_timer_start(&w->deadline, on_deadline, ms, 0);
	while (!w->late && w->changes < until_changes)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	uv_timer_stop(&w->deadline);
}

static void open_world(struct world *w)
{
	*w = (struct world){.changes = 0};
	(void)snprintf(w->root, sizeof w->root, "/tmp/lbd-test-file-XXXXXX");
	CHECK(mkdtemp(w->root) != NULL);
	CHECK(chdir(w->root) == 0);
	CHECK(uv_loop_init(&w->loop) == 0);
	CHECK(uv_timer_init(&w->loop, &w->deadline) == 0);
	w->deadline.data = w;
}

static void close_world(struct world *w)
{
	char command[128];

	file_watch_close(w->watch);
	file_watch_close(NULL);
	uv_close((uv_handle_t *)&w->deadline, NULL);
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&w->loop), 0);
	CHECK(chdir("/") == 0);
	(void)snprintf(command, sizeof command, "rm -rf %s", w->root);
	CHECK(system(command) == 0);
}

/* -- the ways; each is given a folder d with the file d/f -- */

static void do_write(void)
{
	write_file("d/f", "other");
}

static void do_append(void)
{
	FILE *f = fopen("d/f", "a");

	CHECK(f != NULL && fputs("more", f) >= 0 && fclose(f) == 0);
}

static void do_truncate(void)
{
	CHECK(truncate("d/f", 0) == 0);
}

static void do_rename_over(void)
{
	write_file("d/.f.swp", "other");
	CHECK(rename("d/.f.swp", "d/f") == 0);
}

static void do_rename_from_elsewhere(void)
{
	write_file("f2", "other");
	CHECK(rename("f2", "d/f") == 0);
}

static void do_remove(void)
{
	CHECK(unlink("d/f") == 0);
}

static void do_chmod(void)
{
	CHECK(chmod("d/f", 0) == 0);
}

static void do_replace_folder(void)
{
	CHECK(mkdir("d2", 0755) == 0);
	write_file("d2/f", "other");
	CHECK(rename("d", "d-old") == 0 && rename("d2", "d") == 0);
}

static void do_remove_folder(void)
{
	CHECK(unlink("d/f") == 0 && rmdir("d") == 0);
}

static void do_make_symlink(void)
{
	write_file("elsewhere", "other");
	CHECK(unlink("d/f") == 0 && symlink("../elsewhere", "d/f") == 0);
}

static void test_changes(void)
{
	static const struct {
		const char *name;
		void (*change)(void);
	} rows[] = {
		{"written", do_write},
		{"appended", do_append},
		{"emptied", do_truncate},
		{"renamed over", do_rename_over},
		{"renamed over from elsewhere", do_rename_from_elsewhere},
		{"removed", do_remove},
		{"made unreadable", do_chmod},
		{"folder replaced", do_replace_folder},
		{"folder removed", do_remove_folder},
		{"made a symlink", do_make_symlink},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;

		check_row = rows[i].name;
		open_world(&w);
		CHECK(mkdir("d", 0755) == 0);
		write_file("d/f", "one");
		w.watch = file_watch_new(&w.loop, "d/f", on_changed, &w);
		run_for(&w, QUIET_MS, 1);
		CHECK_INT(w.changes, 0);
		rows[i].change();
		run_for(&w, DEADLINE_MS, 1);
		CHECK_INT(w.changes, 1);
		close_world(&w);
	}
}

/* After the file, or its folder, was away: the watch is on the new one, and goes on. */
static void test_changes_back_again(void)
{
	struct world w;

	open_world(&w);
	w.watch = file_watch_new(&w.loop, "d/f", on_changed, &w);
	run_for(&w, QUIET_MS, 1);
	CHECK_INT(w.changes, 0);
	CHECK(mkdir("d", 0755) == 0);
	write_file("d/f", "one");
	run_for(&w, DEADLINE_MS, 1);
	CHECK_INT(w.changes, 1);
	write_file("d/f", "two");
	run_for(&w, DEADLINE_MS, 2);
	CHECK_INT(w.changes, 2);
	do_replace_folder();
	run_for(&w, DEADLINE_MS, 3);
	CHECK_INT(w.changes, 3);
	write_file("d/f", "three");
	run_for(&w, DEADLINE_MS, 4);
	CHECK_INT(w.changes, 4);
	run_for(&w, QUIET_MS, 5);
	CHECK_INT(w.changes, 4);
	close_world(&w);
}

/* kubelet: ..data is a symlink that is swapped by rename; then the file behind it is written. */
static void test_changes_config_map_volume(void)
{
	struct world w;

	open_world(&w);
	CHECK(mkdir("v", 0755) == 0 && mkdir("v/..1", 0755) == 0 && mkdir("v/..2", 0755) == 0);
	write_file("v/..1/f", "one");
	write_file("v/..2/f", "two");
	CHECK(symlink("..1", "v/..data") == 0 && symlink("..data/f", "v/f") == 0);
	w.watch = file_watch_new(&w.loop, "v/f", on_changed, &w);
	CHECK(symlink("..2", "v/..data_tmp") == 0 && rename("v/..data_tmp", "v/..data") == 0);
	run_for(&w, DEADLINE_MS, 1);
	CHECK_INT(w.changes, 1);
	write_file("v/..2/f", "three");
	run_for(&w, DEADLINE_MS, 2);
	CHECK_INT(w.changes, 2);
	close_world(&w);
}

/* A folder in which something is always written must not put it off for ever. */
static void test_changes_busy_folder(void)
{
	struct world w;

	open_world(&w);
	CHECK(mkdir("d", 0755) == 0);
	write_file("d/f", "one");
	w.watch = file_watch_new(&w.loop, "d/f", on_changed, &w);
	write_file("d/f", "two");
	for (unsigned i = 0; i < 60 && w.changes == 0; i++) {
		write_file("d/log", "x");
		run_for(&w, 50, 1);
	}
	CHECK_INT(w.changes, 1);
	close_world(&w);
}

/* -- reading -- */

static void test_read(void)
{
	static const struct {
		const char *name, *path;
		size_t max;
		int want;
	} rows[] = {
		{"all of it", "f", 100, 0},
		{"exactly the limit", "f", 9, 0},
		{"one over", "f", 8, -EFBIG},
		{"far over", "big", 1000, -EFBIG},
		{"no file", "none", 100, -ENOENT},
		{"a folder", ".", 100, -EISDIR},
		{"below a file", "f/f", 100, -ENOTDIR},
		{"a symlink to nothing", "dangling", 100, -ENOENT},
		{"a symlink to itself", "loop", 100, -ELOOP},
		{"a device", "/dev/null", 100, 0},
	};
	struct world w;

	open_world(&w);
	write_file("f", "some text");
	write_file("big", "");
	CHECK(truncate("big", 1 << 20) == 0);
	CHECK(symlink("none", "dangling") == 0 && symlink("loop", "loop") == 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b;

		check_row = rows[i].name;
		buf_init(&b, rows[i].max);
		CHECK_INT(file_read(rows[i].path, &b), rows[i].want);
		if (rows[i].want == 0 && rows[i].path[0] == 'f')
			CHECK_STR(b.p, "some text");
		buf_free(&b);
	}
	close_world(&w);
}

/* In the place of what was there, for its owner alone, and nothing beside it is left. */
static void test_replace(void)
{
	struct world w;
	struct stat st;
	struct buf b;

	open_world(&w);
	write_file("k.new", "left by a crash");
	write_file("k", "old");
	CHECK_INT(chmod("k", 0644), 0);
	CHECK_INT(file_replace("k", "new\n", 4), 0);
	buf_init(&b, 64);
	CHECK_INT(file_read("k", &b), 0);
	CHECK_STR(b.p, "new\n");
	buf_free(&b);
	CHECK_INT(stat("k", &st), 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	CHECK(access("k.new", F_OK) < 0);
	CHECK_INT(file_replace("none/k", "x", 1), -ENOENT);
	CHECK_INT(mkdir("d", 0700), 0);
	CHECK_INT(file_replace("d", "x", 1), -EISDIR);
	CHECK(access("d.new", F_OK) < 0);
	close_world(&w);
}

CHECK_MAIN("test_file", CHECK_TEST(test_read), CHECK_TEST(test_replace), CHECK_TEST(test_changes),
	CHECK_TEST(test_changes_back_again), CHECK_TEST(test_changes_config_map_volume),
	CHECK_TEST(test_changes_busy_folder))
