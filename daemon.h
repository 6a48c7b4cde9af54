/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon.h - what `lbd run` is made of.  daemon.c owns it and turns its loop; writer.c sends what
 * the pure units want written; status.c shows it.  Nobody else includes this.
 */
#ifndef LBD_DAEMON_H
#define LBD_DAEMON_H

#include "alloc.h"
#include "announcer.h"
#include "bfdio.h"
#include "bgp.h"
#include "bind.h"
#include "cluster.h"
#include "config.h"
#include "control.h"
#include "counter.h"
#include "elect.h"
#include "elig.h"
#include "event.h"
#include "file.h"
#include "foreign.h"
#include "history.h"
#include "kube.h"
#include "leader.h"
#include "level.h"
#include "list.h"
#include "log.h"
#include "net.h"
#include "nladdr.h"
#include "nodelb.h"
#include "notify.h"
#include "peers.h"
#include "plan.h"
#include "retired.h"
#include "rival.h"
#include "rt.h"
#include "vip.h"
#include "witness.h"

#include <uv.h>

enum {
	DAEMON_MAX_LISTEN = 256,   /* interfaces captured on */
	DAEMON_RECENT_EVENTS = 32, /* shown by lbd dump */
	DAEMON_DRAIN_MS = 2000,    /* OWNERSHIP R27 */
	DAEMON_STATUS_IN_FLIGHT =
		6, /* of HTTP_POOL_CONNECTIONS: Leases must never wait behind Services */
	DAEMON_EVENTS_IN_FLIGHT = 1,
	DAEMON_EVENTS_WAITING = 64, /* more allocations than this are told when these are sent */
	DAEMON_DOUBT_MS = 10000,    /* then everything is listed anew, */
	DAEMON_DOUBT_AGAIN_MS = 280000, /* and once more so much later */
	DAEMON_MAX_CONTESTS = 16,       /* Services asked and told about one by one, a leadership */
	DAEMON_EVENTS_A_PASS =
		16, /* more Services than this changing hands at once: one Event on the Node */
};

struct daemon_options {
	const char *config_path, *control_path;
	struct kube_where where;
	const char *node_name; /* NULL = not given (nodename.h) */
	const char *log_level; /* NULL = the configuration's */
	bool dry_run;
};

/* The API's ways to list endpoints, best first. */
enum daemon_endpoints {
	ENDPOINTS_SLICE_V1,
	ENDPOINTS_SLICE_V1BETA1,
	ENDPOINTS_CORE,
	ENDPOINTS_WAYS
};

enum daemon_watch_id {
	WATCH_SERVICES,
	WATCH_NODES,
	WATCH_LEASES,
	WATCH_NAMESPACES, /* while the configuration selects by their labels */
	WATCH_ENDPOINTS,  /* ENDPOINTS_WAYS of them */
	DAEMON_WATCHES = WATCH_ENDPOINTS + ENDPOINTS_WAYS
};

struct announced; /* opaque; announced.c's */
struct crdwatch; /* opaque; crdwatch.c's */
struct scrape;   /* opaque; scrape.c's */
struct secrets;  /* opaque; secret.c's */
struct snapfile; /* opaque; snapfile.c's */
struct speaker;  /* opaque; speaker.c's */
struct daemon;

struct daemon_watch {
	struct daemon *d;
	enum daemon_watch_id id;
	enum cluster_kind kind;
	struct kube_watch *w; /* owned; NULL = not watched */
	bool synced, listing;
};

struct daemon_recent {
	uint64_t at_ms;
	enum event_type type;
	char reason[32], object[128], message[256];
};

/* contest.c's: Services whose status another program writes, too. */
struct daemon_contests {
	struct link waiting; /* of struct contest, owned */
	bool asking;         /* about one of them */
	size_t n;            /* in this leadership */
	bool many_said;
	char name[RIVAL_MAX_NAME + 1]; /* who it was, the last time; "" = not known */
};

enum daemon_phase {
	DAEMON_RUNNING,
	DAEMON_DRAINING,  /* offering what is owned */
	DAEMON_RELEASING, /* writes in flight end, then the leader Lease is given back */
	DAEMON_CLOSING,
};

enum daemon_drain { DAEMON_NOT_DRAINED, DAEMON_DRAINED_BY_HAND, DAEMON_DRAINED_BY_CORDON };
enum { DAEMON_MAX_REASON = 200 };

struct daemon {
	const struct daemon_options *opt;
	uv_loop_t loop;
	uv_prepare_t prepare;
	uv_timer_t timer;
	uv_signal_t sigterm, sigint, sighup;
	uint64_t fenced_ms; /* when what is owned was last asked for again; 0 = never */
	struct rt rt;
	struct notify notify;
	uint64_t armed_ms; /* when the timer will fire: a later wake-up than this was a stall */
	uint64_t breath_ms; /* of mesh_breathe() */
	bool dirty;        /* the next turn of the loop makes a pass */
	enum daemon_phase phase;
	uint64_t phase_until_ms;
	enum daemon_drain drained; /* while it runs */
	char drain_reason[DAEMON_MAX_REASON + 1]; /* "": not drained */

	struct rng rng;
	struct hash_key hkey;
	struct counters counters;
	char node[CONFIG_MAX_NAME + 1];
	char next_node[CONFIG_MAX_NAME + 1]; /* what it is to be after a restart; "" = the same */
	char version[32];
	uint64_t started_ms;

	struct config *conf;
	struct file_watch *conf_watch;
	char *conf_text; /* owned: what conf was parsed from, to tell a real change */
	size_t conf_len;
	struct level_hand level; /* of the log */
	int conf_err;       /* it could not be read at the last try: said once */
	bool conf_rejected; /* conf_text was: the configuration before it is in force */
	uint64_t conf_loaded_ms;

	struct cluster *cluster;
	struct retired *retired;
	struct vip_table *vips;
	struct elig_input elig_input;
	struct elect *elect;
	struct leader *leader;
	struct plan *plan;
	struct alloc *alloc;
	struct nodelb *nodelb; /* in servicelb mode, in its place */
	struct event_queue *events;
	struct announced *announced; /* owned */
	struct ann *ann[ADDR_FAMILIES]; /* ARP, NDP */
	struct mcast *mcast;            /* NULL in a dry run */
	struct gateway *gateway;
	struct net *net;
	struct bfdio *bfdio; /* owned, as the next two; NULL in a dry run */
	struct peers *peers;
	struct witness *witness;
	struct speaker *speaker; /* owned; NULL in a dry run, and when closed */
	struct bind *bind;     /* owned; NULL in a dry run */
	struct nladdr *nladdr; /* owned; NULL in a dry run, and when closed */
	struct kube *kube;
	struct control *control;
	struct scrape *scrape; /* owned; NULL in a dry run, and when closed */
	struct dry *dry; /* NULL = what is decided is done */
	struct crdwatch *crdwatch; /* owned; NULL = configFrom: file */
	struct secrets *secrets;   /* owned; NULL = none was ever named */
	struct snapfile *snapfile; /* owned; NULL in a dry run, and when closed */
	struct daemon_watch watch[DAEMON_WATCHES];

	bool synced;      /* every list is complete and live */
	uint64_t synced_ms; /* since when it is, or is not */
	bool synced_once; /* and was so once: the picture may be acted upon */
	bool restored;    /* it may be, though it is that of before the start (snapfile.c) */
	bool rebuild;     /* VIPs, groups and plan are to be built from nothing */
	bool was_leader;
	uint64_t kept_generation;    /* of the allocator, when what it keeps was last recorded */
	uint64_t retired_generation; /* as the VIPs know it */
	bool adopting;               /* leader, waiting for a consistent list of Services */
	bool services_listed;        /* and that list is there */
	bool taking_over; /* what is decided first may have been told by the leader before */
	bool node_missing_said;
	uint64_t schema_said; /* the latest form of our Leases that was seen; 0 = ours */
	bool ipvs_said; /* that the kernel's answers for kube-ipvs0 cannot be stopped */
	uint64_t nodes_generation;
	bool namespaces_forbidden; /* the API does not let us list them */
	struct history history;    /* of our Leases, by their role */
	uint64_t relisted_ms;      /* by feed_doubt(); 0 = never */
	bool relist_due;           /* when DAEMON_DOUBT_MS have passed since then */
	uint64_t doubt_ms; /* since when renewals do not come back although all is in step; 0 = they
			      do */

	struct foreign foreign; /* what wire.c heard, for status */
	uint64_t heard_ms;      /* the second in which so many words on the wire were told */
	unsigned n_heard;
	uint64_t looked_ms;     /* wire_look(); 0 = never */
	size_t looked;          /* groups that it is through with */
	struct daemon_contests contests;
	unsigned leases_in_flight, status_in_flight, events_in_flight;
	struct {
		uint64_t since_ms; /* the API takes no Lease of this node's; 0 = it does */
		char why[128];
	} mute;
	char not_written[160]; /* why the API did not take a Service's status lately; "" = it did */
	uint64_t shadow_again_ms; /* lbd explain may cost time again from then on */
	struct daemon_recent recent[DAEMON_RECENT_EVENTS];
	size_t n_recent; /* ever */
};

/* Runs until SIGTERM or SIGINT.  The process's exit code. */
int daemon_run(const struct daemon_options *opt);

/* CLOCK_BOOTTIME in milliseconds: counts while suspended. */
uint64_t daemon_now_ms(void);
/* The allocator, or what stands in its place, knows all Services and decides. */
static inline bool daemon_is_ready(const struct daemon *d)
{
	return d->conf->servicelb_active ? nodelb_is_ready(d->nodelb) : alloc_is_ready(d->alloc);
}
/* May the picture be acted upon? */
static inline bool daemon_may_act(const struct daemon *d)
{
	return d->synced_once || d->restored;
}
/* Something changed: make a pass before the loop waits again. */
void daemon_mark(struct daemon *d);
/* An Event on a Service or Node, also kept for lbd dump. */
void daemon_event(struct daemon *d, const struct event_object *o, enum event_type type,
	const char *reason, const char *message, uint64_t now_ms);

/* The same on each Service that holds the address. */
void daemon_vip_event(struct daemon *d, struct addr vip, enum event_type type, const char *reason,
	const char *message, uint64_t now_ms);
/* That n addresses are announced here from now on, on their Services; of more than
 * DAEMON_EVENTS_A_PASS, which are not in v, on the Node. */
void daemon_announced(struct daemon *d, const struct addr *v, size_t n, const char *protocol,
	uint64_t now_ms);
/* The same on this Node. */
void daemon_node_event(struct daemon *d, enum event_type type, const char *reason,
	const char *message, uint64_t now_ms);
/* For every entry from the loop: the time.  False: the loop was stopped or starved, what waited is
 * stale (OWNERSHIP R24). */
bool daemon_wake(struct daemon *d, uint64_t *ret_now_ms);
/* The loop came so late: fences what is owned, if that was long enough for others to take it.
 * Returns whether it was. */
bool daemon_stalled(struct daemon *d, uint64_t late_ms);

/* -- pass.c -- */
/* Derives the plan from the picture, applies the difference, sends what is due. */
void pass_run(struct daemon *d, uint64_t now_ms);
/* Servicelb mode was entered or left: what is there is adopted anew. */
void pass_begin(struct daemon *d);

/* -- feed.c -- */
/* From now on what Leases say reaches the units that want it. */
void feed_follow_leases(struct daemon *d);
void feed_start(struct daemon *d);
/* "services" */
const char *feed_watch_name(enum daemon_watch_id id);
void feed_stop(struct daemon *d);
/* Everything anew, consistently: the watches may be of another history than the API's. */
void feed_relist(struct daemon *d);
/* The same, but not again and again: an object that we had written is gone, or is older than it
 * was, so the API's store may be another one (restored, or empty), whose changes no watch from the
 * old one's versions shows.  why: for the log. */
void feed_doubt(struct daemon *d, const char *why, uint64_t now_ms);
/* Lists anew what a doubt left for later. */
void feed_run(struct daemon *d, uint64_t now_ms);
uint64_t feed_next_deadline(const struct daemon *d);
/* Is the picture complete? Whoever takes part in it says so. */
void feed_update_synced(struct daemon *d);
/* elections.namespace changed. */
void feed_move_leases(struct daemon *d);
/* Namespaces are watched from now on, or no longer, as the configuration needs. */
void feed_want_namespaces(struct daemon *d);

/* -- keep.c -- */
/* The units that it speaks for are there. */
void keep_start(struct daemon *d);
/* Lets an allocator know what is kept and what is claimed. */
void keep_tell(struct daemon *d, struct alloc *a);
/* The configuration is to be now: what it drops and Services keep is noted, before anything works
 * from it. */
void keep_dropped(struct daemon *d, const struct config *now);
void keep_on_lease(struct daemon *d, const struct cluster_lease *l, bool deleted);
/* The Service as it now is; NULL: gone. */
void keep_service(struct daemon *d, const char *key, const struct cluster_service *s);
/* The next request on the record, if this node leads and one is due. */
bool keep_next_action(struct daemon *d, uint64_t now_ms, struct lease_action *ret_a) MUST_CHECK;

/* -- wire.c -- */
extern const struct ann_ops wire_ann_ops;
extern const struct elect_ops wire_elect_ops;
extern const struct net_ops wire_net_ops;
/* The announcer of a's family. */
static inline struct ann *wire_ann(const struct daemon *d, struct addr a)
{
	return d->ann[addr_family(a)];
}
/* Its name for the log. */
static inline const char *wire_protocol(struct addr a)
{
	return addr_family(a) == ADDR_V4 ? "arp" : "ndp";
}
/* Makes the announcers: 0 or -ENOMEM. */
int wire_open(struct daemon *d) MUST_CHECK;
void wire_free(struct daemon *d);
/* One change of the plan: 0, or what ann_add() or mcast_join() said. */
int wire_apply(struct daemon *d, const struct plan_change *c, uint64_t now_ms) MUST_CHECK;
/* Tells the announcers which interfaces there are, and listens where a VIP could be. */
void wire_sync(struct daemon *d, uint64_t now_ms);
/* Asks the wire, as a probe does, who has each address in service, so that status can tell: at most
 * once a second, so many at a time. */
void wire_look(struct daemon *d, uint64_t now_ms);
void wire_set_reannounce(struct daemon *d, uint64_t reannounce_ms, uint64_t now_ms);
uint64_t wire_next_deadline(const struct daemon *d);
void wire_tick(struct daemon *d, uint64_t now_ms);

/* -- hand.c -- */
/* Drains a cordoned node, where the configuration says so. */
void hand_heed_cordon(struct daemon *d, uint64_t now_ms);
/* Why this node is drained, until its Lease says it. */
const char *hand_reason(const struct daemon *d);
bool hand_is_command(const char *command);
/* A command that it is; the answer is the caller's. */
cJSON *hand_answer(struct daemon *d, const char *command, const cJSON *request, uint64_t now_ms);
/* The log's level that was set for a time is over. */
void hand_run(struct daemon *d, uint64_t now_ms);

/* -- mesh.c -- */
/* 0 or -errno.  Nothing in a dry run, nor in what follows. */
int mesh_start(struct daemon *d) MUST_CHECK;
void mesh_stop(struct daemon *d);
/* Interfaces or the configuration are others. */
void mesh_sync(struct daemon *d);
void mesh_on_lease(struct daemon *d, const struct cluster_lease *l);
/* This node goes, and says so to the others by BFD; or it stays after all. */
void mesh_set_leaving(struct daemon *d, bool leaving);
/* Tells elect.c what BFD has found; before elect_pass(). */
void mesh_run(struct daemon *d);
/* Sends what the pass has asked for. */
void mesh_flush(struct daemon *d);
/* How late the loop is for BFD. */
/* In the middle of work that takes long, at a point where events may come: what BFD has to say and
 * to hear does not wait for the end of it, so that nobody takes this node for dead.  Then the time so
 * far is no stall (R24). */
void mesh_breathe(struct daemon *d);
uint64_t mesh_late_ms(const struct daemon *d);
uint64_t mesh_next_deadline(const struct daemon *d);
/* elect_ops */
bool mesh_ask_witness(void *ctx, unsigned ifindex, const char *suspect);
bool mesh_witnessed(void *ctx, unsigned ifindex, const char *suspect, uint64_t since_ms);
bool mesh_watches(void *ctx, unsigned ifindex, const char *node, const char *owner);
void mesh_forgot(void *ctx, const char *node);
/* -- bound.c: bindAddress -- */
/* 0 or -errno, which was said. */
int bound_open(struct daemon *d) MUST_CHECK;
void bound_close(struct daemon *d);
/* The address is to be on the interface, or not any more. */
void bound_set(struct daemon *d, unsigned ifindex, struct addr vip, bool on);
/* net_ops.on_bound */
void bound_on_kernel(void *ctx, unsigned ifindex, struct addr a, bool there, bool marked);
/* Does the kernel answer for it? */
bool bound_is_held(const struct daemon *d, unsigned ifindex, struct addr vip);
/* Is one still to be taken off an interface? */
bool bound_is_busy(const struct daemon *d);
/* Makes the writes that are due. */
void bound_run(struct daemon *d, uint64_t now_ms);
uint64_t bound_next_deadline(const struct daemon *d);

/* -- snapfile.c: the last picture on disk -- */
/* Reads what there is into the picture, before anything else is in it.  0 or -ENOMEM. */
int snapfile_open(struct daemon *d) MUST_CHECK;
void snapfile_close(struct daemon *d);
/* The picture changed in what an announcer reads. */
void snapfile_mark(struct daemon *d);
/* A Lease changed, perhaps only its time. */
void snapfile_on_lease(struct daemon *d);
/* Lets the old picture be acted upon when the API has not answered in time. */
void snapfile_use(struct daemon *d, uint64_t now_ms);
/* Writes what is due. */
void snapfile_run(struct daemon *d, uint64_t now_ms);
uint64_t snapfile_next_deadline(const struct daemon *d);

/* -- reload.c -- */
/* Reads and parses the file.  0 with *ret_conf; -EALREADY: the text is what it was; else the errors
 * were logged. */
int reload_read(struct daemon *d, struct config **ret_conf) MUST_CHECK;
/* Reads it again and lets every unit work from it. */
void reload_again(struct daemon *d);
/* Lets every unit work from conf, which is the daemon's then.  0; -ENOMEM: all is as it was. */
int reload_use(struct daemon *d, struct config *conf) MUST_CHECK;
/* A report's lines through the log, one each. */
void reload_log_lines(enum log_level level, const struct buf *lines);
/* The log's level that is in force where none was set by hand. */
enum log_level reload_level(const struct daemon *d);
void reload_log_level(const struct daemon *d);
/* Says whether servicelb mode is on, and why it is although pools say otherwise. */
void reload_say_servicelb(const struct daemon *d);
/* Are there pools that wait for servicelb mode to be left? */
bool reload_pools_wait(const struct daemon *d);
/* Whether this node may lead, by the configuration. */
void reload_candidacy(struct daemon *d, uint64_t now_ms);
struct leader_conf reload_leader_conf(const struct daemon *d, const char *identity);

/* -- crdwatch.c: configFrom: cluster -- */
/* The file says so, and this is its text, which is right.  Watches from then on.  0 or -ENOMEM. */
int crdwatch_set_file(struct daemon *d, const char *text, size_t len) MUST_CHECK;
/* It says so no longer, or the daemon ends.  Once more is a no-op. */
void crdwatch_stop(struct daemon *d);
void crdwatch_relist(struct daemon *d);
/* Has the API said which pools there are?  True with configFrom: file. */
bool crdwatch_is_ready(const struct daemon *d);
/* Is what the API has in force? True with configFrom: file. */
bool crdwatch_is_current(const struct daemon *d);
/* Was the latest configuration not taken: is the one before it in force? */
static inline bool daemon_conf_is_stale(const struct daemon *d)
{
	return d->conf_err != 0 || d->conf_rejected || !crdwatch_is_current(d);
}
/* False: the configuration in force is less than what the API has. */
bool crdwatch_may_allocate(const struct daemon *d);
/* Makes the configuration that is due. */
void crdwatch_run(struct daemon *d, uint64_t now_ms);
uint64_t crdwatch_next_deadline(const struct daemon *d);
/* Sends the status that is due, when this node leads. */
void crdwatch_write(struct daemon *d, uint64_t now_ms);
/* Adds where the configuration comes from, and how it stands. */
void crdwatch_dump(const struct daemon *d, cJSON *config);

/* -- secret.c: passwordSecret, keySecret -- */
/* Reads the Secrets that the configuration in force names, as far as they are due. */
void secret_run(struct daemon *d, uint64_t now_ms);
uint64_t secret_next_deadline(const struct daemon *d);
void secret_stop(struct daemon *d);
/* Borrowed until the next turn of the loop; NULL: not known. */
const char *secret_password(const struct daemon *d, const struct config_secret_ref *ref);
/* Adds whether the peer's Secret was read. */
void secret_dump(const struct daemon *d, const struct config_peer *peer, cJSON *o);

/* -- speaker.c: BGP -- */
/* 0 or -ENOMEM.  Nothing in a dry run, nor in what follows. */
int speaker_start(struct daemon *d) MUST_CHECK;
/* Sessions end: with a Cease, or where routes are to outlive a restart without a word. */
void speaker_stop(struct daemon *d);
/* The configuration is another one: the old one is not looked at any more. */
void speaker_use(struct daemon *d);
/* What sessions follow from may be another: interfaces, Secrets. */
void speaker_sync(struct daemon *d);
/* Takes in what the pass found dirty (all: everything is another), and tells the peers. */
void speaker_run(struct daemon *d, bool all, uint64_t now_ms);
/* This node goes (RFC 8326), or stays after all.  Not by hand: graceful restart keeps routes. */
void speaker_set_leaving(struct daemon *d, bool leaving, bool by_hand, uint64_t now_ms);
/* Were all withdrawals sent? */
bool speaker_has_left(const struct daemon *d);
/* Must BFD be heard over several hops? */
bool speaker_wants_multihop(const struct daemon *d);
uint64_t speaker_next_deadline(const struct daemon *d);
/* Why this node announces the VIP by BGP (REASON_OWNER), or does not. */
enum reason speaker_why(const struct daemon *d, const struct vip *v);
void speaker_dump(const struct daemon *d, cJSON *peers, uint64_t now_ms);
/* The peers that select this node, as far as there is something to say of them. */
struct speaker_peer {
	const char *name, *vrf; /* vrf NULL = none */
	struct addr remote;
	unsigned port;
	bool has_address; /* remote is known */
	struct bgp_view bgp;
	struct bgp_rib_counts routes;
	bool has_bfd;
	struct bfd_view bfd;
};
size_t speaker_count(const struct daemon *d);
void speaker_peer(const struct daemon *d, size_t i, struct speaker_peer *ret_p);

/* -- scrape.c: metrics and health by HTTP -- */
/* 0 or -ENOMEM.  Nothing in a dry run. */
int scrape_start(struct daemon *d) MUST_CHECK;
void scrape_stop(struct daemon *d);
/* Listens where the configuration, the Node and the interfaces want it now. */
void scrape_run(struct daemon *d);

/* -- writer.c -- */
/* Hands every write that is due to the API client. */
void writer_run(struct daemon *d, uint64_t now_ms);
/* Turns what the allocator decided into Events. */
void writer_results(struct daemon *d, uint64_t now_ms);
uint64_t writer_next_deadline(const struct daemon *d);

/* -- contest.c -- */
void contest_init(struct daemon *d);
/* The allocator found it; it is asked about by contest_run(), one after the other. */
void contest_add(struct daemon *d, const struct alloc_result *r);
void contest_run(struct daemon *d, uint64_t now_ms);
/* A leadership begins or ends, or the daemon does. */
void contest_reset(struct daemon *d);

/* -- status.c -- */
/* The whole state as JSON (shared/INTERFACES.md: top keys version config leader nodes services vips
 * pools peers events).  NULL when out of memory. */
cJSON *status_dump(struct daemon *d, uint64_t now_ms);
void status_add_time(cJSON *o, const char *key, uint64_t at_ms, uint64_t now_ms);
/* The same as text.  Returns s. */
enum { STATUS_TIME_LEN = 80 };
const char *status_time(uint64_t at_ms, uint64_t now_ms, char s[STATUS_TIME_LEN]);
enum { STATUS_MAC_LEN = 18 };
const char *status_mac(const uint8_t m[6], char s[STATUS_MAC_LEN]);
/* The state in one sentence, for who looks at the service. */
void status_sentence(const struct daemon *d, uint64_t now_ms, char *s, size_t n);
const char *status_state_name(enum elect_state s);
/* Addresses of the family that the pool has; saturated. */
uint64_t status_pool_size(const struct config_pool *p, enum addr_family f);
/* One address of it. */
cJSON *status_vip(const struct daemon *d, const struct vip *v, uint64_t now_ms);

/* -- explain.c -- */
/* Answers {"command":"explain","what":"NS/NAME|NAME|IP","without":NODE}: docs/lbd.8.  NULL when out
 * of memory. */
cJSON *explain_answer(struct daemon *d, const cJSON *request, uint64_t now_ms);
/* The first in the group's order among those that could take it: of the members, in a dry run of
 * all Nodes.  NULL: nobody could. */
const char *explain_first(const struct daemon *d, const struct vip_group *g, uint64_t now_ms);

#endif
