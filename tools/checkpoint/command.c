/* SPDX-License-Identifier: Apache-2.0 */
/* begin -- CMD: a source that is run as a child. Its failure is not the end of data. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "source.h"

#define NOT_FOUND 127
#define NOT_RUN 126
#define JUST_ENDED_MS 100 /* a command whose output has ended will end soon */

/* In the child. Only what is safe after a fork. */
_Noreturn static void
become(char **words, int out)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGUSR1, SIG_DFL);
	(void)signal(SIGINT, SIG_IGN); /* begin ends it, after the savepoint */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)dup2(out, STDOUT_FILENO);
	(void)execvp(words[0], words);
	_exit(errno == ENOENT ? NOT_FOUND : NOT_RUN);
}

int
fc_command_start(struct fc_source *s, struct fl_err *err)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0)
		become(s->words, p[1]);
	(void)close(p[1]);
	if (pid < 0) {
		(void)close(p[0]);
		return fl_fail_errno(err, FL_EUNAVAILABLE, errno, "cannot start %s", s->words[0]);
	}
	s->pid = pid;
	(void)fcntl(p[0], F_SETPIPE_SZ, (int)FL_RAW_PIECE); /* a hint */
	fc_source_note(
		s,
		"%s is run again from its start after a restore, and what was read before the "
		"checkpoint is left out: exactly once only if it gives the same bytes each time, "
		"which is checked",
		s->words[0]);
	s->next_number++;
	return fc_input_take(&s->in, p[0], s->words[0], 0, err);
}

/* What a status of the command says: 0, or an error. */
static int
judge(const struct fc_source *s, int status, struct fl_err *err)
{
	const char *name = s->words[0];

	if (WIFSIGNALED(status))
		return fl_fail(err, FL_ETEMP,
			       "%s was ended by signal %d: that is not the end of the data", name,
			       WTERMSIG(status));
	if (WEXITSTATUS(status) == NOT_FOUND)
		return fl_fail(err, FL_EUNAVAILABLE, "cannot run %s: there is no such command",
			       name);
	if (WEXITSTATUS(status))
		return fl_fail(err, FL_ETEMP,
			       "%s has failed with status %d: that is not the end of the data",
			       name, WEXITSTATUS(status));
	return 0;
}

int
fc_command_end(struct fc_source *s, struct fl_err *err)
{
	int status;

	while (waitpid((pid_t)s->pid, &status, 0) < 0)
		if (errno != EINTR)
			return fl_fail_errno(err, FL_EBUG, errno, "cannot wait for %s",
					     s->words[0]);
	s->pid = 0;
	return judge(s, status, err);
}

int
fc_command_failed(struct fc_source *s, struct fl_err *err)
{
	struct fl_err why;
	int status;

	for (int i = 0; i < JUST_ENDED_MS; i++) {
		if (waitpid((pid_t)s->pid, &status, WNOHANG) == s->pid) {
			s->pid = 0;
			if (judge(s, status, &why) < 0)
				*err = why;
			break;
		}
		(void)fl_io_wait_readable(-1, 1);
	}
	return err->code;
}

void
fc_command_kill(struct fc_source *s)
{
	int status;

	if (s->pid <= 0)
		return;
	(void)kill((pid_t)s->pid, SIGTERM);
	if (s->in.fd >= 0) { /* it ends when it writes, if it does not heed the signal */
		(void)close(s->in.fd);
		s->in.fd = -1;
	}
	(void)waitpid((pid_t)s->pid, &status, WNOHANG);
	s->pid = 0;
}
