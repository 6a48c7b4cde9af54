/* SPDX-License-Identifier: Apache-2.0
 *
 * test_bfdio.c - BFD through the kernel: two sessions of one engine, which are each other's peers,
 * on the loopback interface.
 */
#include "bfdio.h"

#include "check.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MS = 1000, SECOND = 1000 * MS };

struct rig {
	uv_loop_t loop;
	struct bfdio *io;
	struct counters c;
	struct rng rng;
	struct bfd_session *s[2];
	unsigned downs;
	enum bfd_state last[2];
	bool closed;
	char dir[32], file[64];
};

static const struct hash_key hkey = {1, 2};
static const struct bfd_conf fast = {
	.transmit_us = 10 * MS, .receive_us = 10 * MS, .multiplier = 3, .minimum_ttl = 255};

static void on_closed(void *ctx)
{
	((struct rig *)ctx)->closed = true;
}

static const struct bfdio_ops ops = {.on_closed = on_closed};

static void on_changed(void *ctx, struct bfd_session *s)
{
	struct rig *r = ctx;
	unsigned i = s == r->s[1];
	struct bfd_view v;

	bfd_view(s, 0, &v);
	r->downs += r->last[i] == BFD_UP && v.state != BFD_UP;
	r->last[i] = v.state;
}

static const struct bfd_user user = {.changed = on_changed};

static unsigned a_port(void)
{
	return 20000 + (unsigned)getpid() % 20000;
}

static void set_up(struct rig *r)
{
	const struct bfdio_conf conf = {.port = a_port()};

	memset(r, 0, sizeof *r);
	r->rng.state = (uint64_t)getpid();
	(void)uv_loop_init(&r->loop);
	if (bfdio_open(&r->loop, &conf, &ops, r, &hkey, &r->rng, &r->c, &r->io) != 0)
		abort();
	(void)snprintf(r->dir, sizeof r->dir, "/tmp/test_bfdio.XXXXXX");
	if (mkdtemp(r->dir) == NULL)
		abort();
	(void)snprintf(r->file, sizeof r->file, "%s/key", r->dir);
}

static void tear_down(struct rig *r)
{
	bfdio_close(r->io);
	bfdio_close(NULL);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	CHECK(r->closed);
	CHECK_INT(uv_loop_close(&r->loop), 0);
	(void)unlink(r->file);
	(void)rmdir(r->dir);
}

static struct addr addr(const char *s)
{
	struct addr a;

	if (addr_parse(s, strlen(s), &a) != 0)
		abort();
	return a;
}

static void add(struct rig *r, unsigned i, const char *local, const char *remote,
	const struct bfd_conf *conf)
{
	const struct bfd_path path = {if_nametoindex("lo"), addr(local), addr(remote)};

	CHECK_INT(bfd_add(bfdio_engine(r->io), &path, conf, &user, r, bfdio_now_us(), &r->s[i]), 0);
	r->last[i] = BFD_DOWN;
}

static void add_pair(struct rig *r, const struct bfd_conf *conf)
{
	add(r, 0, "127.0.0.1", "127.0.0.2", conf);
	add(r, 1, "127.0.0.2", "127.0.0.1", conf);
}

static void on_alarm(uv_timer_t *t)
{
	uv_stop(t->loop);
}

static void run(struct rig *r, unsigned ms)
{
	uv_timer_t t;

	(void)uv_timer_init(&r->loop, &t);
	(void)uv_timer_start(&t, on_alarm, ms, 0);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&t, NULL);
	(void)uv_run(&r->loop, UV_RUN_NOWAIT);
}

static bool is_up(const struct rig *r)
{
	return r->last[0] == BFD_UP && (r->s[1] == NULL || r->last[1] == BFD_UP);
}

static bool run_until_up(struct rig *r)
{
	for (unsigned i = 0; i < 500 && !is_up(r); i++)
		run(r, 20);
	return is_up(r);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
		fchmod(fd, mode) != 0)
		abort();
	(void)close(fd);
}

/* A socket of somebody else's: bound to the port, or sending to it. */
static int foreign_socket(unsigned port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = port == 0 ? htonl(0x7f000002) : htonl(INADDR_ANY);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0)
		abort();
	return fd;
}

static void test_up(void)
{
	struct bfd_view v;
	struct rig r;

	set_up(&r);
	add_pair(&r, &fast);
	CHECK(run_until_up(&r));
	run(&r, 200);
	bfd_view(r.s[0], bfdio_now_us(), &v);
	CHECK_INT(v.transmit_us, 10 * MS);
	CHECK(v.heard_us <= bfdio_now_us() && v.heard_us + 100 * MS > bfdio_now_us());
	CHECK(v.received >= 15);
	tear_down(&r);
}

static void test_up_v6(void)
{
	struct rig r;

	set_up(&r);
	add(&r, 0, "fd00::1", "fd00::2", &fast);
	add(&r, 1, "fd00::2", "fd00::1", &fast);
	CHECK(run_until_up(&r));
	tear_down(&r);
}

static void test_multihop(void)
{
	struct bfdio_conf conf = {.port = a_port(), .multihop = true};
	struct bfd_conf far = fast;
	struct bfd_path path = {0, addr("127.0.0.1"), addr("127.0.0.2")};
	struct rig r;

	set_up(&r);
	bfdio_set_conf(r.io, &conf);
	far.minimum_ttl = 254;
	for (unsigned i = 0; i < 2; i++) {
		CHECK_INT(bfd_add(bfdio_engine(r.io), &path, &far, &user, &r, bfdio_now_us(),
				  &r.s[i]),
			0);
		path = (struct bfd_path){0, path.remote, path.local};
	}
	r.last[0] = r.last[1] = BFD_DOWN;
	CHECK(run_until_up(&r));
	tear_down(&r);
}

/* The loop stood still for much longer than the detection time: nobody is declared dead for it. */
static void test_stall(void)
{
	const struct timespec long_ = {.tv_nsec = 400 * 1000000};
	struct rig r;

	set_up(&r);
	add_pair(&r, &fast);
	CHECK(run_until_up(&r));
	for (unsigned i = 0; i < 3; i++) {
		run(&r, 100);
		(void)nanosleep(&long_, NULL);
	}
	run(&r, 100);
	CHECK_INT(r.downs, 0);
	tear_down(&r);
}

/* Silence is noticed in the time that was agreed on. */
static void test_silence(void)
{
	struct bfd_view v;
	struct rig r;

	set_up(&r);
	add_pair(&r, &fast);
	CHECK(run_until_up(&r));
	run(&r, 100);
	bfd_del(bfdio_engine(r.io), r.s[1]);
	run(&r, 100);
	bfd_view(r.s[0], bfdio_now_us(), &v);
	CHECK_INT(v.state, BFD_DOWN);
	CHECK_INT(v.diag, BFD_DIAG_DETECTION_TIME);
	CHECK(v.since_us >= v.heard_us + 30 * MS && v.since_us < v.heard_us + 60 * MS);
	tear_down(&r);
}

static void test_admin_down_now(void)
{
	struct rig r;

	set_up(&r);
	add_pair(&r, &fast);
	CHECK(run_until_up(&r));
	bfd_set_admin_down(bfdio_engine(r.io), r.s[0], true, bfdio_now_us());
	bfdio_flush(r.io); /* sent */
	bfdio_flush(r.io); /* and read */
	CHECK_INT(r.last[1], BFD_DOWN);
	tear_down(&r);
}

static void test_port_in_use(void)
{
	struct rig r;
	int fd = foreign_socket(a_port());

	set_up(&r);
	CHECK_INT(r.c.v[COUNTER_BFD_SOCKET_ERRORS], 1);
	add_pair(&r, &fast);
	run(&r, 1500);
	CHECK(!is_up(&r));
	CHECK(r.c.v[COUNTER_BFD_SOCKET_ERRORS] >= 2);
	(void)close(fd);
	CHECK(run_until_up(&r));
	tear_down(&r);
}

static void test_port_changes(void)
{
	struct bfdio_conf conf = {.port = a_port() + 1};
	struct rig r;
	int fd;

	set_up(&r);
	add_pair(&r, &fast);
	CHECK(run_until_up(&r));
	bfdio_set_conf(r.io, &conf);
	fd = foreign_socket(a_port()); /* it is free */
	run(&r, 200);
	CHECK(is_up(&r));
	CHECK_INT(r.downs, 0);
	(void)close(fd);
	tear_down(&r);
}

/* The TTL that the kernel saw counts, and a datagram may be anything. */
static void test_foreign_datagrams(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)a_port())};
	uint8_t packet[24] = {0x20, 0x40, 3, 24, 0, 0, 0, 9}, junk[1000] = {0};
	struct rig r;
	int fd, ttl;

	set_up(&r);
	add(&r, 0, "127.0.0.1", "127.0.0.2", &fast);
	fd = foreign_socket(0);
	to.sin_addr.s_addr = htonl(0x7f000001);
	for (ttl = 254; ttl <= 255; ttl++) {
		CHECK_INT(setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl), 0);
		CHECK_INT(sendto(fd, packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to),
			24);
		CHECK_INT(
			sendto(fd, junk, sizeof junk, 0, (struct sockaddr *)&to, sizeof to), 1000);
		CHECK_INT(sendto(fd, junk, 0, 0, (struct sockaddr *)&to, sizeof to), 0);
		bfdio_flush(r.io);
		CHECK_INT(r.c.v[COUNTER_BFD_DROP_TTL], 1);
		CHECK_INT(r.c.v[COUNTER_BFD_RECEIVED], ttl == 255);
	}
	CHECK_INT(r.c.v[COUNTER_BFD_DROP_VERSION], 2);
	CHECK_INT(r.c.v[COUNTER_BFD_DROP_LENGTH], 2);
	(void)close(fd);
	tear_down(&r);
}

static void test_keys(void)
{
	struct bfd_conf keyed = fast;
	struct bfd_view v;
	struct rig r;

	set_up(&r);
	keyed.keyed = true;
	write_file(r.file, "the first secret\n", 0600);
	bfdio_set_key_file(r.io, r.file);
	add_pair(&r, &keyed);
	CHECK(run_until_up(&r));
	write_file(r.file, "short\n", 0600); /* refused: the old one stays */
	run(&r, 500);
	CHECK(is_up(&r) && r.downs == 0);
	write_file(r.file, "the next secret\nthe first secret\n", 0644);
	run(&r, 1500);
	CHECK(is_up(&r) && r.downs == 0);
	CHECK_INT(r.c.v[COUNTER_BFD_DROP_KEY], 0);
	bfdio_set_key_file(r.io, NULL);
	run(&r, 200);
	bfd_view(r.s[0], bfdio_now_us(), &v);
	CHECK_INT(v.state, BFD_DOWN);
	tear_down(&r);
}

static void test_no_key_file(void)
{
	struct bfd_conf keyed = fast;
	struct rig r;

	set_up(&r);
	keyed.keyed = true;
	bfdio_set_key_file(r.io, r.file);
	add_pair(&r, &keyed);
	run(&r, 300);
	CHECK(!is_up(&r));
	write_file(r.file, "it comes later\n", 0600);
	CHECK(run_until_up(&r));
	tear_down(&r);
}

/* An address that this host does not have (yet). */
static void test_no_address(void)
{
	struct rig r;

	set_up(&r);
	add(&r, 0, "192.0.2.1", "192.0.2.2", &fast);
	run(&r, 1500);
	CHECK(!is_up(&r));
	CHECK(r.c.v[COUNTER_BFD_SOCKET_ERRORS] >= 2);
	CHECK(r.c.v[COUNTER_BFD_SEND_ERRORS] >= 2);
	tear_down(&r);
}

static bool command(const char *text)
{
	return system(text) == 0;
}

/* A network of our own, where two addresses may be added. */
static bool enter_namespace(void)
{
	return unshare(CLONE_NEWNET) == 0 && command("ip link set lo up") &&
	       command("ip addr add fd00::1/128 dev lo nodad") &&
	       command("ip addr add fd00::2/128 dev lo nodad");
}

int main(void)
{
	static const struct check_test tests[] = {CHECK_TEST(test_up), CHECK_TEST(test_up_v6),
		CHECK_TEST(test_multihop), CHECK_TEST(test_stall), CHECK_TEST(test_silence),
		CHECK_TEST(test_admin_down_now), CHECK_TEST(test_port_in_use),
		CHECK_TEST(test_port_changes), CHECK_TEST(test_foreign_datagrams),
		CHECK_TEST(test_keys), CHECK_TEST(test_no_key_file), CHECK_TEST(test_no_address)};

	if (!enter_namespace()) {
		printf("test_bfdio: 0 passed, 0 failed, %zu skipped (needs root)\n",
			ARRAY_LEN(tests));
		return 0;
	}
	log_set_level(LOG_ERROR);
	return check_main("test_bfdio", tests, ARRAY_LEN(tests));
}
