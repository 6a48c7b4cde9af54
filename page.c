/* SPDX-License-Identifier: Apache-2.0
 *
 * page.c - the status page.
 *
 * In:   status.c's tree, through show.c.  Out: a document of HTML, whole without its script.
 * Sources: Content Security Policy Level 3; RFC 9110 7.2 (Host), 7.4 (421).
 *
 * Every 2 s the script asks for the page anew and puts its main element in the place of the one
 * that is shown.  Where scripts do not run, the browser loads the page again every 5 s.
 */
#include "page.h"

#include "addr.h"
#include "finding.h"
#include "show.h"

#include <string.h>
#include <strings.h>

/* After a change of either, tests/unit/test_page.c says what its hash is. */
#define STYLE_HASH  "sha256-6792Cv5g54+X5LO1d13/itdS7ZmZEhCtLj95vpkNZVE="
#define SCRIPT_HASH "sha256-NPD/Hk0suElUrvkxew/nUaAA911K4spkxBx7naNxl/g="

static const char style[] =
	":root{color-scheme:light dark;--f:#1c2128;--d:#57606a;--b:#fff;--c:#f4f6f8;--l:#d3d9df;"
	"--r:#b3001e;--s:#fdecef;--a:#2b6cb0}"
	"@media(prefers-color-scheme:dark){:root{--f:#e6edf3;--d:#9fabb8;--b:#0f141a;--c:#181f27;"
	"--l:#343e4a;--r:#ff9492;--s:#3a191e;--a:#5a9bd8}}"
	"body{margin:0 auto;max-width:100em;padding:.5em 1em 2em;font:15px/1.45 "
	"system-ui,sans-serif;"
	"color:var(--f);background:var(--b);overflow-wrap:anywhere}"
	"h1{font-size:1.5em;margin:.4em 0 0}"
	"h2{font-size:1.1em;margin:1.6em 0 .4em}"
	"p{margin:.3em 0;color:var(--d)}"
	"#b{position:sticky;top:0;z-index:1;padding:.4em .8em;color:var(--b);background:var(--r)}"
	"ul{margin:0;padding:0;list-style:none}"
	"li{margin:.3em 0;padding:.4em .8em;border-left:4px solid var(--d);background:var(--c)}"
	".bad li{border-color:var(--r);background:var(--s)}"
	"div{overflow-x:auto;border:1px solid var(--l);border-radius:6px}"
	"table{width:100%;border-collapse:collapse;overflow-wrap:normal;"
	"font-variant-numeric:tabular-nums}"
	"th,td{padding:.35rem .6rem;text-align:left;vertical-align:top}"
	"thead th{font-size:.75em;color:var(--d);background:var(--c);white-space:nowrap}"
	"tbody tr{border-top:1px solid var(--l)}"
	"tr:has(.bad){background:var(--s)}"
	"td.bad{font-weight:600;color:var(--r)}"
	"td[data-h=SERVICE],td[data-h=STATUS],td[data-h=REASON]{min-width:10em}"
	"svg{display:block;width:9em;height:.6em;margin:.4em 0 .2em;border-radius:3px;"
	"background:var(--l)}"
	"rect{fill:var(--a)}"
	"rect[width=\"100%\"]{fill:var(--r)}"
	"@media(max-width:40em){"
	"thead,td:empty{display:none}"
	"table,tbody,tr,th,td{display:block;overflow-wrap:anywhere}"
	"tr{padding:.4em .7em}"
	"th,td{padding:0}"
	"td{display:inline-block;margin-right:.9em;min-width:0!important}"
	"td:before{content:attr(data-h) \" \";font-size:.75em;font-weight:400;color:var(--d)}}";

static const char script[] =
	"(function(){"
	"var last=new Date,busy,b=document.getElementById('b');"
	"function say(t){b.hidden=!t;b.textContent=t}"
	"function boxes(){return[].slice.call(document.querySelectorAll('main div'))}"
	"setInterval(async function(){"
	"if(busy||document.visibilityState!='visible')return;"
	"if(!getSelection().isCollapsed)return say('The page stands still while text is "
	"selected.');"
	"busy=1;"
	"var c=new AbortController,t=setTimeout(function(){c.abort()},9000);"
	"try{"
	"var r=await fetch('',{cache:'no-store',signal:c.signal}),"
	"d=new DOMParser().parseFromString(await r.text(),'text/html'),m=d.querySelector('main');"
	"if(!r.ok||!m)throw 0;"
	"var x=boxes().map(function(e){return e.scrollLeft});"
	"document.querySelector('main').replaceWith(m);"
	"boxes().forEach(function(e,i){e.scrollLeft=x[i]});"
	"document.title=d.title;last=new Date;say('')"
	"}catch(e){document.title='lbd: no answer';"
	"say('No answer since '+last.toLocaleTimeString()+'.')}"
	"clearTimeout(t);busy=0"
	"},2000)"
	"})()";

const char page_fields[] =
	"Content-Security-Policy: default-src 'none'; style-src '" STYLE_HASH
	"'; script-src '" SCRIPT_HASH "'; connect-src 'self'; img-src data:; base-uri 'none'; "
	"form-action 'none'; frame-ancestors 'none'\r\n"
	"Referrer-Policy: no-referrer\r\n"
	"Cross-Origin-Resource-Policy: same-origin\r\n";

static void count(void *ctx, bool degraded, const char *sentence)
{
	size_t *n = ctx;

	(void)sentence;
	*n += degraded;
}

static void print_title(size_t problems, struct buf *out)
{
	if (problems == 0)
		buf_adds(out, "lbd: fine");
	else
		buf_addf(out, "lbd: %zu problem%s", problems, problems == 1 ? "" : "s");
}

void page_print(const cJSON *dump, struct buf *out)
{
	size_t n = 0;

	finding_each(dump, true, count, &n);
	buf_adds(out, "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
		      "<meta name=viewport content=\"width=device-width,initial-scale=1\">"
		      "<link rel=icon href=\"data:,\"><title>");
	print_title(n, out);
	buf_adds(out, "</title><style>");
	buf_adds(out, style);
	buf_adds(out, "</style><noscript><meta http-equiv=refresh content=5></noscript></head>\n"
		      "<body><p id=b role=status hidden></p><main>\n<h1>");
	print_title(n, out);
	buf_adds(out, "</h1>\n");
	(void)show_text(dump, &(struct show_options){.html = true, .wide = true}, out);
	buf_adds(out, "</main><script>");
	buf_adds(out, script);
	buf_adds(out, "</script></body></html>\n");
}

/* -- by which name ----------------------------------------------------------------------------- */

/* Of what stands before the port; 0: that is none. */
static size_t name_length(const char *host)
{
	const char *end = host + strcspn(host, host[0] == '[' ? "]" : ":");

	if (*end == ']')
		end++;
	if (*end == '\0')
		return (size_t)(end - host);
	return *end == ':' && end[1 + strspn(end + 1, "0123456789")] == '\0' ? (size_t)(end - host)
									     : 0;
}

static bool is_address(const char *s, size_t n)
{
	struct addr a;

	if (n > 2 && s[0] == '[' && s[n - 1] == ']')
		return addr_parse(s + 1, n - 2, &a) == 0;
	return addr_parse(s, n, &a) == 0;
}

static bool is(const char *s, size_t n, const char *word)
{
	return n == strlen(word) && strncasecmp(s, word, n) == 0;
}

/* What may stand behind the node's name: domains of which nobody can have one in the world's DNS
 * (RFC 6762 3, RFC 8375; ICANN keeps .internal for this, and .lan is not given). */
static bool is_local_domain(const char *s, size_t n)
{
	static const char *const domain[] = {"", ".local", ".lan", ".internal", ".home.arpa"};

	for (size_t i = 0; i < ARRAY_LEN(domain); i++)
		if (is(s, n, domain[i]))
			return true;
	return false;
}

bool page_is_own_host(const char *host, const char *node)
{
	size_t n = name_length(host), len = strlen(node);

	return is_address(host, n) || is(host, n, "localhost") ||
	       (len > 0 && n >= len && strncasecmp(host, node, len) == 0 &&
		       is_local_domain(host + len, n - len));
}
