/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The points of base/fault.h, for tools that are linked with this file:
 *
 *	FLUE_FAULT=NAME:N:ACTION  at the N-th time that this process reaches NAME
 *	                  kill    SIGKILL to this process
 *	                  all     SIGKILL to the process group
 *	                  term    SIGTERM to this process
 *	                  termall SIGTERM to the process group
 *	                  hold    SIGSTOP to this process, until somebody lets it go on
 *	                  stop    SIGSTOP to this process, SIGKILL 50 ms later
 *	                  stopall the same for the process group
 *	FLUE_FAULT_UID=UID        only in the operator of this uid
 *	FLUE_FAULT_LOG=FILE       a line "reached NAME UID PID" each time that a point is
 *	                          reached, and "fired NAME UID PID" before the action
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"

static atomic_long reached;
static char this_uid[128];

void
fl_fault_uid(const char *uid)
{
	(void)snprintf(this_uid, sizeof this_uid, "%s", uid);
}

/* One short line, appended: it stays in one piece. */
static void
tell(const char *what, const char *name)
{
	const char *path = getenv("FLUE_FAULT_LOG");
	char line[256];
	int n = snprintf(line, sizeof line, "%s %s %s %d\n", what, name, *this_uid ? this_uid : "-",
			 (int)getpid());
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || n <= 0 || (size_t)n >= sizeof line)
		return;
	if (write(fd, line, (size_t)n) != n)
		abort();
	(void)close(fd);
}

/* SIGSTOP, and SIGKILL from a grandchild 50 ms later. */
static void
stop_then_kill(pid_t whom)
{
	struct timespec rest = { .tv_nsec = 50000000 };
	pid_t child = fork();

	if (child == 0) {
		(void)setpgid(0, 0); /* not to be stopped itself */
		if (fork() != 0)
			_exit(0);
		(void)nanosleep(&rest, NULL);
		(void)kill(whom, SIGKILL);
		_exit(0);
	}
	(void)waitpid(child, NULL, 0);
	(void)kill(whom, SIGSTOP);
}

static void
act(const char *action)
{
	pid_t self = getpid(), group = -getpgrp();

	if (strcmp(action, "term") == 0)
		(void)kill(self, SIGTERM);
	else if (strcmp(action, "termall") == 0)
		(void)kill(group, SIGTERM);
	else if (strcmp(action, "hold") == 0)
		(void)kill(self, SIGSTOP);
	else if (strcmp(action, "stop") == 0)
		stop_then_kill(self);
	else if (strcmp(action, "stopall") == 0)
		stop_then_kill(group);
	else if (strcmp(action, "all") == 0)
		(void)kill(group, SIGKILL);
	else
		(void)kill(self, SIGKILL);
}

bool
fl_fault_points(void)
{
	return true;
}

void
fl_fault(const char *name)
{
	const char *spec = getenv("FLUE_FAULT"), *uid = getenv("FLUE_FAULT_UID");
	size_t n = strlen(name);
	char *end;
	long at;

	tell("reached", name);
	if (!spec || strncmp(spec, name, n) != 0 || spec[n] != ':')
		return;
	if (uid && *uid && strcmp(uid, this_uid) != 0)
		return;
	at = strtol(spec + n + 1, &end, 10);
	if (atomic_fetch_add(&reached, 1) + 1 != at || *end != ':')
		return;
	tell("fired", name);
	act(end + 1);
}
