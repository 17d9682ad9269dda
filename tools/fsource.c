/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsource: lines from a socket to standard output. It connects, or it listens and takes
 * lines from any number of connections at once.
 *
 * Only whole lines are passed on, so lines of several connections do not mix, and being
 * stopped leaves no half line.
 */
#define _GNU_SOURCE /* ppoll, accept4 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "run/opt.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#else
#define PACKAGE_VERSION "0"
#endif

#define READ_BYTES FL_KIB(64)
#define LINE_MAX_BYTES FL_MIB(16)
#define CONNECTIONS_MAX 1000u
#define CONNECT_MS 10000
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 5000

/* SIGTERM or SIGINT has come; a second one ends the process at once. */
static volatile sig_atomic_t stop_signal;

struct address {
	const char *text; /* as typed */
	bool is_unix, listens;
	char *host; /* NULL: every interface */
	char *port;
	const char *path;
};

struct connection {
	int fd;
	struct fl_buf line; /* what has come of a line that has no end yet */
};

struct source {
	bool reconnect, once, quiet, help, version;
	int64_t give_up_ms; /* 0: never */
	struct address address;
	int listener; /* -1: none */
	bool unlinks; /* the path of the socket, at the end */
	struct connection *connection;
	size_t count;
	struct fl_buf poll; /* struct pollfd */
};

#define AT(m) offsetof(struct source, m)

static const struct fl_opt opts[] = {
	{ .name = "reconnect",
	  .type = FL_OPT_FLAG,
	  .offset = AT(reconnect),
	  .help = "connect again when it cannot, or is cut off" },
	{ .name = "give-up",
	  .type = FL_OPT_DURATION,
	  .offset = AT(give_up_ms),
	  .arg = "DUR",
	  .help = "--reconnect: after so long in vain, exit 69" },
	{ .name = "once",
	  .type = FL_OPT_FLAG,
	  .offset = AT(once),
	  .help = "listening: end with the first connection" },
	{ .name = "quiet",
	  .letter = 'q',
	  .type = FL_OPT_FLAG,
	  .offset = AT(quiet),
	  .help = "say only what is an error" },
	{ .name = "help",
	  .letter = 'h',
	  .type = FL_OPT_FLAG,
	  .offset = AT(help),
	  .help = "this text" },
	{ .name = "version", .type = FL_OPT_FLAG, .offset = AT(version), .help = "the version" },
	{ .type = FL_OPT_END },
};

static const char help_top[] =
	"Usage: fsource [options] ADDRESS\n"
	"Lines from a socket.\n"
	"\n"
	"ADDRESS is where to connect to, or to listen:\n"
	"  tcp://HOST:PORT             tcp-listen://HOST:PORT (no HOST: everywhere)\n"
	"  unix:PATH                   unix-listen:PATH\n"
	"\n"
	"  fsource tcp://feed.example:9000 --reconnect | fkeyby --ijsonl --time ts user\n"
	"  fsource tcp-listen://127.0.0.1:9999 | fcat --itext --ojsonl\n"
	"\n";

static void
print_help(void)
{
	(void)fputs(help_top, stdout);
	for (const struct fl_opt *o = opts; o->type != FL_OPT_END; o++) {
		char word[40];

		(void)snprintf(word, sizeof word, "--%s%s%s", o->name, o->arg ? " " : "",
			       o->arg ? o->arg : "");
		(void)printf("  %-20s  %s\n", word, o->help);
	}
	(void)fputs("\nAll of it, with examples: man fsource; the family: man flue\n", stdout);
}

static void say(const struct source *s, const char *fmt, ...) FL_PRINTF(2, 3);

static void
say(const struct source *s, const char *fmt, ...)
{
	va_list ap;

	if (s->quiet)
		return;
	(void)fprintf(stderr, "fsource: %s: ", s->address.text);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

/* ---- addresses ---------------------------------------------------------------------- */

/* HOST:PORT, [HOST]:PORT, :PORT. */
static int
parse_host(struct address *a, const char *p, struct fl_err *err)
{
	bool brackets = *p == '[';
	const char *colon = strrchr(p, ':'), *end = brackets ? strchr(p, ']') : colon;
	const char *start = p + brackets;

	if (!colon || !end || !colon[1] || (brackets && end + 1 != colon) || strchr(colon, '/') ||
	    (!brackets && strchr(p, ':') != colon))
		return fl_fail(err, FL_EUSAGE,
			       "%s: HOST:PORT expected (an IPv6 address in brackets)", a->text);
	if (end > start && !(end - start == 1 && *start == '*'))
		a->host = fl_xstrndup(start, (size_t)(end - start));
	a->port = fl_xstrdup(colon + 1);
	if (!a->host && !a->listens)
		return fl_fail(err, FL_EUSAGE, "%s: which HOST to connect to is missing", a->text);
	return 0;
}

static int
parse_path(struct address *a, const char *p, struct fl_err *err)
{
	a->is_unix = true;
	a->path = p;
	if (!*p)
		return fl_fail(err, FL_EUSAGE, "%s: the PATH of the socket is missing", a->text);
	if (strlen(p) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return fl_fail(err, FL_EUSAGE, "%s: the path of a socket has at most %zu bytes",
			       a->text, sizeof((struct sockaddr_un *)0)->sun_path - 1);
	return 0;
}

static int
parse_address(struct address *a, const char *text, struct fl_err *err)
{
	static const struct {
		const char *begins;
		bool is_unix, listens;
	} kinds[] = {
		{ "tcp://", false, false },
		{ "tcp-listen://", false, true },
		{ "unix:", true, false },
		{ "unix-listen:", true, true },
	};

	*a = (struct address){ .text = text };
	for (size_t i = 0; i < FL_ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i].begins);

		if (strncmp(text, kinds[i].begins, n) != 0)
			continue;
		a->listens = kinds[i].listens;
		return kinds[i].is_unix ? parse_path(a, text + n, err)
					: parse_host(a, text + n, err);
	}
	return fl_fail(err, FL_EUSAGE,
		       "%s: no address; tcp://HOST:PORT, tcp-listen://HOST:PORT, unix:PATH or "
		       "unix-listen:PATH expected",
		       text);
}

/* The socket addresses that it stands for; freed by freeaddrinfo. */
static int
look_up(const struct address *a, struct addrinfo **ret, struct fl_err *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = a->listens ? AI_PASSIVE : 0 };
	int rc = getaddrinfo(a->host, a->port, &hints, ret);

	if (rc)
		return fl_fail(err, FL_EUNAVAILABLE, "%s: %s", a->text,
			       rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	return 0;
}

static struct sockaddr_un
unix_address(const struct address *a)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	memcpy(to.sun_path, a->path, strlen(a->path));
	return to;
}

/* ---- waiting ------------------------------------------------------------------------- */

static void
on_signal(int sig)
{
	if (stop_signal)
		_exit(sig == SIGINT ? 130 : 75);
	stop_signal = sig;
}

static void
catch_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal };

	(void)sigaction(SIGTERM, &a, NULL);
	(void)sigaction(SIGINT, &a, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static int
stopped(struct fl_err *err)
{
	(void)fl_fail(err, stop_signal == SIGINT ? FL_EINTERRUPT : FL_ETEMP, "stopped");
	err->quiet = true;
	return err->code;
}

/*
 * Wait for p[1..n); p[0] becomes standard output, whose reader may go away. How many are
 * ready, 0 after timeout_ms (-1: never), or an error: stopped, no reader.
 */
static int
wait_for(struct pollfd *p, size_t n, int64_t timeout_ms, struct fl_err *err)
{
	struct timespec t = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000 };
	sigset_t stops, before;
	int rc = 0;

	p[0] = (struct pollfd){ .fd = STDOUT_FILENO };
	(void)sigemptyset(&stops);
	(void)sigaddset(&stops, SIGTERM);
	(void)sigaddset(&stops, SIGINT);
	/* a signal between the look and the wait must end the wait */
	(void)sigprocmask(SIG_BLOCK, &stops, &before);
	if (!stop_signal)
		rc = ppoll(p, n, timeout_ms < 0 ? NULL : &t, &before);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (stop_signal)
		return stopped(err);
	if (rc < 0)
		return errno == EINTR ? 0 : fl_fail_errno(err, FL_EIO, errno, "cannot wait");
	if (rc > 0 && p[0].revents & (POLLERR | POLLHUP)) {
		err->quiet = true;
		return err->code = FL_EPIPE;
	}
	return rc;
}

/* ---- lines --------------------------------------------------------------------------- */

static int
put(const char *p, size_t n, struct fl_err *err)
{
	return fl_io_write(STDOUT_FILENO, p, n, "standard output", err);
}

/* Pass on what has come up to the last line end. */
static int
take(struct source *s, struct connection *c, const char *p, size_t n, struct fl_err *err)
{
	const char *newline = memrchr(p, '\n', n);
	size_t whole = newline ? (size_t)(newline + 1 - p) : 0;

	if (whole) {
		if (c->line.len && put(c->line.data, c->line.len, err) < 0)
			return err->code;
		fl_buf_clear(&c->line);
		if (put(p, whole, err) < 0)
			return err->code;
	}
	fl_buf_put(&c->line, p + whole, n - whole);
	if (c->line.len > LINE_MAX_BYTES)
		return fl_fail(err, FL_ELIMIT, "%s: a line of more than 16M", s->address.text);
	return 0;
}

/*
 * A connection has ended: a last line without end counts. It gets one if more may follow.
 * reset: it was cut off, so the line is not whole.
 */
static int
end_connection(struct source *s, struct connection *c, int reset, bool last, struct fl_err *err)
{
	int rc = 0;

	if (reset)
		say(s, "connection lost: %s%s", strerror(reset),
		    c->line.len ? "; its last line was cut off, and is left out" : "");
	else if (c->line.len) {
		if (!last)
			fl_buf_putc(&c->line, '\n');
		rc = put(c->line.data, c->line.len, err);
	}
	(void)close(c->fd);
	fl_buf_release(&c->line);
	c->fd = -1;
	return rc;
}

/* Read once. 1: go on, 0: the connection has ended, *ret_reset says how. */
static int
receive(struct source *s, struct connection *c, int *ret_reset, struct fl_err *err)
{
	char buf[READ_BYTES];
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);

	*ret_reset = 0;
	if (n > 0)
		return take(s, c, buf, (size_t)n, err) < 0 ? err->code : 1;
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return 1;
	*ret_reset = n < 0 ? errno : 0;
	return 0;
}

/* ---- connecting ------------------------------------------------------------------------ */

/* Connect to one socket address: a descriptor, -1 with errno, or, < -1, an error. */
static int
try_address(int family, const struct sockaddr *to, socklen_t len, struct fl_err *err)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, rc;
	struct pollfd p[2] = { { 0 }, { .fd = fd, .events = POLLOUT } };
	socklen_t size = sizeof rc;

	if (fd < 0)
		return -1;
	if (family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (connect(fd, to, len) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		rc = wait_for(p, 2, CONNECT_MS, err);
		if (rc < 0) {
			(void)close(fd);
			return rc;
		}
		errno = ETIMEDOUT;
		if (rc > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &size) == 0 && rc == 0)
			return fd;
		errno = rc > 0 ? rc : ETIMEDOUT;
	}
	rc = errno;
	(void)close(fd);
	errno = rc;
	return -1;
}

/* A connected descriptor; FL_EUNAVAILABLE where that is not possible now. */
static int
connect_once(const struct address *a, struct fl_err *err)
{
	struct addrinfo *list = NULL;
	int fd = -1, why = 0;

	if (a->is_unix) {
		struct sockaddr_un to = unix_address(a);

		fd = try_address(AF_UNIX, (const struct sockaddr *)&to, sizeof to, err);
		why = errno;
	} else {
		if (look_up(a, &list, err) < 0)
			return err->code;
		for (const struct addrinfo *i = list; i && fd == -1; i = i->ai_next) {
			fd = try_address(i->ai_family, i->ai_addr, i->ai_addrlen, err);
			why = errno;
		}
		freeaddrinfo(list);
	}
	if (fd != -1)
		return fd;
	return fl_fail_errno(err, FL_EUNAVAILABLE, why, "cannot connect to %s", a->text);
}

/* A connected descriptor, however long it takes, if --reconnect is given. */
static int
connect_again(struct source *s, struct fl_err *err)
{
	int64_t from = fl_clock_us() / 1000, pause = PAUSE_FIRST_MS;
	struct pollfd p[1];
	bool told = false;

	for (;;) {
		int fd = connect_once(&s->address, err), rc;

		if (fd >= 0 && told)
			say(s, "connected");
		if (fd != FL_EUNAVAILABLE || !s->reconnect)
			return fd;
		if (s->give_up_ms && fl_clock_us() / 1000 - from + pause > s->give_up_ms)
			return fd;
		if (!told && !s->quiet)
			(void)fprintf(stderr, "fsource: %s; trying again\n", err->msg);
		told = true;
		rc = wait_for(p, 1, pause, err);
		if (rc < 0)
			return rc;
		pause = 2 * pause < PAUSE_MAX_MS ? 2 * pause : PAUSE_MAX_MS;
	}
}

/* Everything that one connection gives. *ret_reset: errno where it was cut off. */
static int
read_connection(struct source *s, int fd, int *ret_reset, struct fl_err *err)
{
	struct connection c = { .fd = fd };
	int rc;

	do {
		struct pollfd p[2] = { { 0 }, { .fd = fd, .events = POLLIN } };

		rc = wait_for(p, 2, -1, err);
		if (rc > 0)
			rc = receive(s, &c, ret_reset, err);
		else if (rc == 0)
			rc = 1;
	} while (rc > 0);
	if (rc == 0)
		return end_connection(s, &c, *ret_reset, !s->reconnect, err);
	(void)close(fd);
	fl_buf_release(&c.line);
	return rc;
}

static int
run_connecting(struct source *s, struct fl_err *err)
{
	int reset, rc;

	for (;;) {
		int fd = connect_again(s, err);
		int64_t from = fl_clock_us();

		if (fd < 0)
			return fd;
		rc = read_connection(s, fd, &reset, err);
		if (rc < 0)
			return rc;
		if (!s->reconnect)
			break;
		/* one that ends at once must not be asked for all the time */
		if (fl_clock_us() - from < PAUSE_FIRST_MS * 1000) {
			struct pollfd p[1];

			rc = wait_for(p, 1, PAUSE_FIRST_MS, err);
			if (rc < 0)
				return rc;
		}
	}
	if (reset)
		return fl_fail(err, FL_EIO,
			       "%s: that is not the end of the data; run the line again, or with "
			       "--reconnect",
			       s->address.text);
	return 0;
}

/* ---- listening --------------------------------------------------------------------------- */

static int
cannot_listen(const struct address *a, struct fl_err *err)
{
	return fl_fail_errno(err, FL_ECREATE, errno, "cannot listen on %s", a->text);
}

/* A socket that a process left behind that did not end in order: nobody listens. */
static void
remove_stale(const struct address *a)
{
	struct sockaddr_un to = unix_address(a);
	struct stat st;
	int fd;

	if (lstat(a->path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) < 0 && errno == ECONNREFUSED)
		(void)unlink(a->path);
	(void)close(fd);
}

static int
listen_at(int family, const struct sockaddr *at, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, why;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, at, len) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	why = errno;
	(void)close(fd);
	errno = why;
	return -1;
}

/* Say where, since port 0 lets the system choose. */
static void
say_where(const struct source *s)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;
	char host[128], port[16];

	if (s->quiet)
		return;
	if (s->address.is_unix || getsockname(s->listener, (struct sockaddr *)&at, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		(void)fprintf(stderr, "fsource: listening on %s\n", s->address.text);
	else
		(void)fprintf(stderr,
			      strchr(host, ':') ? "fsource: listening on tcp://[%s]:%s\n"
						: "fsource: listening on tcp://%s:%s\n",
			      host, port);
}

static int
open_listener(struct source *s, struct fl_err *err)
{
	const struct address *a = &s->address;
	struct addrinfo *list = NULL;

	if (a->is_unix) {
		struct sockaddr_un at = unix_address(a);

		remove_stale(a);
		s->listener = listen_at(AF_UNIX, (const struct sockaddr *)&at, sizeof at);
		s->unlinks = s->listener >= 0;
	} else {
		if (look_up(a, &list, err) < 0)
			return err->code;
		for (const struct addrinfo *i = list; i && s->listener < 0; i = i->ai_next)
			s->listener = listen_at(i->ai_family, i->ai_addr, i->ai_addrlen);
		freeaddrinfo(list);
	}
	if (s->listener < 0)
		return cannot_listen(a, err);
	say_where(s);
	return 0;
}

static void
accept_one(struct source *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

	if (fd < 0)
		return; /* it has gone again */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	s->connection = fl_xreallocarray(s->connection, s->count + 1, sizeof *s->connection);
	s->connection[s->count++] = (struct connection){ .fd = fd };
	if (s->once) {
		(void)close(s->listener);
		s->listener = -1;
	}
}

/* What to wait for: standard output, who wants to connect, and the connections. */
static struct pollfd *
waiting(struct source *s)
{
	struct pollfd p = { .fd = -1 };

	fl_buf_clear(&s->poll);
	fl_buf_put(&s->poll, &p, sizeof p);
	p = (struct pollfd){ .fd = s->count < CONNECTIONS_MAX ? s->listener : -1,
			     .events = POLLIN };
	fl_buf_put(&s->poll, &p, sizeof p);
	for (size_t i = 0; i < s->count; i++) {
		p = (struct pollfd){ .fd = s->connection[i].fd, .events = POLLIN };
		fl_buf_put(&s->poll, &p, sizeof p);
	}
	return (struct pollfd *)(void *)s->poll.data;
}

/* Take what the connections have sent, and out those that have ended. */
static int
serve(struct source *s, const struct pollfd *p, struct fl_err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct connection *c = &s->connection[i];
		int reset, rc = p[i].revents ? receive(s, c, &reset, err) : 1;

		if (rc == 0)
			rc = end_connection(s, c, reset, s->once, err);
		if (rc < 0)
			return rc;
		if (c->fd >= 0)
			s->connection[kept++] = *c;
	}
	s->count = kept;
	return 0;
}

static int
run_listening(struct source *s, struct fl_err *err)
{
	if (open_listener(s, err) < 0)
		return err->code;
	while (s->listener >= 0 || s->count) {
		struct pollfd *p = waiting(s);
		int rc = wait_for(p, s->count + 2, -1, err);

		if (rc > 0)
			rc = serve(s, p + 2, err);
		if (rc < 0)
			return rc;
		if (p[1].revents && s->listener >= 0)
			accept_one(s);
	}
	return 0;
}

/* ---- main ---------------------------------------------------------------------------------- */

static void
release(struct source *s)
{
	if (s->unlinks)
		(void)unlink(s->address.path);
	if (s->listener >= 0)
		(void)close(s->listener);
	for (size_t i = 0; i < s->count; i++)
		if (s->connection[i].fd >= 0) {
			(void)close(s->connection[i].fd);
			fl_buf_release(&s->connection[i].line);
		}
	free(s->connection);
	fl_buf_release(&s->poll);
	free(s->address.host);
	free(s->address.port);
}

static int
check(struct source *s, char **words, int count, struct fl_err *err)
{
	if (count != 1)
		return fl_fail(err, FL_EUSAGE,
			       "one ADDRESS expected: tcp://HOST:PORT, tcp-listen://HOST:PORT, "
			       "unix:PATH or unix-listen:PATH");
	if (parse_address(&s->address, words[0], err) < 0)
		return err->code;
	if (s->give_up_ms && !s->reconnect)
		return fl_fail(err, FL_EUSAGE, "--give-up goes with --reconnect");
	if (s->address.listens ? s->reconnect : s->once)
		return fl_fail(err, FL_EUSAGE, "--%s has no meaning for %s",
			       s->once ? "once" : "reconnect", s->address.text);
	return 0;
}

/* --help or --version was asked for: the exit status. */
static int
tell(const struct source *s)
{
	if (s->help)
		print_help();
	else
		(void)printf("fsource (flue) %s\n", PACKAGE_VERSION);
	if (fflush(stdout) == 0)
		return 0;
	if (errno == EPIPE)
		return -FL_EPIPE;
	(void)fprintf(stderr, "fsource: cannot write standard output: %s\n", strerror(errno));
	return -FL_EIO;
}

int
main(int argc, char **argv)
{
	struct source s = { .listener = -1 };
	const struct fl_opt_group groups[] = { { "fsource", opts, &s } };
	char **words = fl_xcalloc((size_t)argc + 1, sizeof *words);
	struct fl_err err = { 0 };
	int count = 0, rc;

	catch_signals();
	rc = fl_opt_parse(groups, 1, argc, argv, words, &count, &err);
	if (rc == 0 && (s.help || s.version)) {
		free(words);
		return tell(&s);
	}
	if (rc == 0 && argc == 1 && isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
		free(words); /* somebody looks at what it is */
		(void)fputs(help_top, stderr);
		(void)fputs("\nfsource --help shows the options; all of it: man fsource\n", stderr);
		return -FL_EUSAGE;
	}
	if (rc == 0)
		rc = check(&s, words, count, &err);
	if (rc == 0)
		rc = s.address.listens ? run_listening(&s, &err) : run_connecting(&s, &err);
	release(&s);
	free(words);
	if (rc == FL_EPIPE && fl_io_said_enough(STDOUT_FILENO))
		rc = 0;
	if (rc < 0 && !err.quiet)
		(void)fprintf(stderr, "fsource: %s%s\n", err.msg,
			      rc == FL_EUNAVAILABLE && !s.reconnect && !s.address.listens
				      ? " (--reconnect waits for it)"
				      : "");
	return -rc;
}
