/* SPDX-License-Identifier: Apache-2.0
 *
 * bound.c - bindAddress: between the plan, bind.c, rtnetlink's news and its writes.
 *
 * In:   addresses that are to be on an interface, or no longer; what the kernel says of them.
 * Out:  writes, a batch at a time; a log line for what the kernel refuses.
 *
 * In a dry run there is no bind.c, and nothing is written.
 */
#include "daemon.h"
#include "log.h"

#include <errno.h>
#include <string.h>

static void say_refused(const struct daemon *d, const struct bind_write *w, int err)
{
	const struct iface *i = iface_get(net_ifaces(d->net), w->ifindex);
	char text[ADDR_STRLEN];

	if (err == -EPERM)
		log_error("bind",
			"no permission to put addresses on interfaces: bindAddress needs the "
			"capability CAP_NET_ADMIN; lbd answers for them itself",
			NULL);
	else
		log_warn("bind",
			"the interface does not take the address: lbd answers for it itself", "ip",
			addr_format(w->addr, text), "iface", i != NULL ? i->name : "", "err",
			strerror(-err), NULL);
}

static void on_written(void *ctx, const struct bind_write *v, const int *err, size_t n)
{
	struct daemon *d = ctx;
	uint64_t now_ms;
	bool in_time = daemon_wake(d, &now_ms);

	for (size_t i = 0; i < n; i++)
		if (bind_done(d->bind, &v[i], err[i], now_ms))
			say_refused(d, &v[i], err[i]);
	/* After a stall the pass decides first what is still ours. */
	if (in_time)
		bound_run(d, now_ms);
	if (!nladdr_is_busy(d->nladdr))
		daemon_mark(d);
}

int bound_open(struct daemon *d)
{
	char n[24];
	int err;

	if (d->bind == NULL)
		return 0;
	if (bind_count(d->bind) > 0)
		log_info("bind", "taking addresses off that an lbd before left on interfaces", "n",
			log_number((int64_t)bind_count(d->bind), n), NULL);
	err = nladdr_open(&d->loop, on_written, d, &d->nladdr);
	if (err < 0)
		log_error("bind", "no rtnetlink socket", "err", strerror(-err), NULL);
	return err;
}

void bound_close(struct daemon *d)
{
	nladdr_close(d->nladdr);
	d->nladdr = NULL;
}

void bound_set(struct daemon *d, unsigned ifindex, struct addr vip, bool on)
{
	char text[ADDR_STRLEN];
	int err = 0;

	if (d->bind == NULL)
		return;
	if (on)
		err = bind_want(d->bind, ifindex, vip);
	else
		bind_unwant(d->bind, ifindex, vip);
	if (err < 0)
		log_error("bind", "not put on the interface", "ip", addr_format(vip, text), "err",
			strerror(-err), NULL);
}

/* Without a mark it is ours only where a VIP could be. */
void bound_on_kernel(void *ctx, unsigned ifindex, struct addr a, bool there, bool marked)
{
	struct daemon *d = ctx;

	if (d->bind == NULL || (there && !marked && config_pool_of(d->conf, a) == NULL) ||
		(there && bind_is_held(d->bind, ifindex, a))) /* a refresh of ours */
		return;
	/* Out of memory: what was left there goes by itself. */
	if (bind_on_kernel(d->bind, ifindex, a, there) == 0)
		daemon_mark(d);
}

bool bound_is_held(const struct daemon *d, unsigned ifindex, struct addr vip)
{
	return d->bind != NULL && bind_is_held(d->bind, ifindex, vip);
}

bool bound_is_busy(const struct daemon *d)
{
	return d->bind != NULL && bind_is_busy(d->bind);
}

void bound_run(struct daemon *d, uint64_t now_ms)
{
	struct bind_write v[BIND_BATCH];
	size_t n;

	if (d->bind == NULL || d->nladdr == NULL || nladdr_is_busy(d->nladdr))
		return;
	n = bind_next(d->bind, now_ms, v, BIND_BATCH);
	if (n > 0)
		nladdr_write(d->nladdr, v, n);
}

uint64_t bound_next_deadline(const struct daemon *d)
{
	/* While a batch is under way, its end comes first. */
	if (d->bind == NULL || d->nladdr == NULL || nladdr_is_busy(d->nladdr))
		return TIME_NEVER;
	return bind_next_deadline(d->bind);
}
