/* SPDX-License-Identifier: Apache-2.0
 *
 * timer: runs a pipeline and says what it took.
 *
 *	timer [-n RUNS] [-o FILE] [-e FILE] COMMAND ARG... ['|' COMMAND ARG...]...
 *
 * A word that is only | separates the commands; there is no shell in between, so
 * every process is a direct child and its peak memory is known. Prints one line
 * of JSON: seconds from the first fork to the last exit (with -n the median of
 * the RUNS), processor seconds of all runs and of the timer itself, and for each
 * command its peak resident set in KiB and its exit code (128 + signal for a
 * killed one).
 *
 * This is C and not a script for a reason: Linux carries the resident set of the
 * process that forks into the child's peak, and an interpreter's would hide ours.
 */
#define _GNU_SOURCE		/* pipe2 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_STAGES = 32,
};

struct stage {
	char **argv;
	pid_t pid;
	int status;			/* exit code, or 128 + signal */
	long rss_kib;			/* peak, the highest of all runs */
};

struct pipeline {
	struct stage stages[MAX_STAGES];
	int count;
	const char *output;		/* last command's standard output, or NULL */
	int errors;			/* everybody's standard error, or -1 */
	double user_s;
	double system_s;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "timer: %s: %s\n", what, strerror(errno));
	_exit(71);
}

static void split(struct pipeline *p, char **words)
{
	p->count = 1;
	p->stages[0].argv = words;
	for (; *words; words++) {
		if (strcmp(*words, "|") != 0)
			continue;
		if (p->count == MAX_STAGES) {
			fprintf(stderr, "timer: more than %d commands\n", MAX_STAGES);
			exit(64);
		}
		*words = NULL;
		p->stages[p->count++].argv = words + 1;
	}
	for (int i = 0; i < p->count; i++) {
		if (p->stages[i].argv[0])
			continue;
		fprintf(stderr, "timer: an empty command\n");
		exit(64);
	}
}

/* As a shell's > opens a file, or with O_APPEND for several writers. */
static int open_new(const char *file, int append)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | append, 0666);

	if (fd < 0)
		die(file);
	return fd;
}

/* In the child. `in` and `out` are pipe ends, or -1 for what is inherited. */
static _Noreturn void become(const struct pipeline *p, int i, int in, int out)
{
	if (in >= 0 && (dup2(in, STDIN_FILENO) < 0 || close(in) < 0))
		die("standard input");
	if (out >= 0 && (dup2(out, STDOUT_FILENO) < 0 || close(out) < 0))
		die("standard output");
	if (i == p->count - 1 && p->output && dup2(open_new(p->output, 0), STDOUT_FILENO) < 0)
		die(p->output);
	if (p->errors >= 0 && dup2(p->errors, STDERR_FILENO) < 0)
		die("standard error");
	execvp(p->stages[i].argv[0], p->stages[i].argv);
	fprintf(stderr, "timer: %s: %s\n", p->stages[i].argv[0], strerror(errno));
	_exit(127);
}

static void start(struct pipeline *p)
{
	int in = -1;

	for (int i = 0; i < p->count; i++) {
		int ends[2] = { -1, -1 };

		if (i < p->count - 1 && pipe2(ends, O_CLOEXEC) < 0)
			die("pipe");
		p->stages[i].pid = fork();
		if (p->stages[i].pid < 0)
			die("fork");
		if (p->stages[i].pid == 0)
			become(p, i, in, ends[1]);
		if (in >= 0)
			close(in);
		if (ends[1] >= 0)
			close(ends[1]);
		in = ends[0];
	}
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void finish(struct pipeline *p)
{
	for (int i = 0; i < p->count; i++) {
		struct stage *s = &p->stages[i];
		struct rusage used;
		int status;

		while (wait4(s->pid, &status, 0, &used) < 0)
			if (errno != EINTR)
				die("wait4");
		s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (used.ru_maxrss > s->rss_kib)
			s->rss_kib = used.ru_maxrss;
		p->user_s += seconds(used.ru_utime);
		p->system_s += seconds(used.ru_stime);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const struct pipeline *p, double wall)
{
	struct rusage own;

	getrusage(RUSAGE_SELF, &own);
	printf("{\"wall\": %.6f, \"user\": %.6f, \"system\": %.6f, \"timer\": %.6f,"
	       " \"stages\": [", wall, p->user_s, p->system_s,
	       seconds(own.ru_utime) + seconds(own.ru_stime));
	for (int i = 0; i < p->count; i++)
		printf("%s{\"rss_kib\": %ld, \"status\": %d}", i ? ", " : "",
		       p->stages[i].rss_kib, p->stages[i].status);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct pipeline p = { .errors = -1 };
	long runs = 1;
	double *walls;
	int c;

	while ((c = getopt(argc, argv, "+n:o:e:")) != -1) {
		switch (c) {
		case 'n': runs = strtol(optarg, NULL, 10); break;
		case 'o': p.output = optarg; break;
		case 'e': p.errors = open_new(optarg, O_APPEND); break;
		default: return 64;
		}
	}
	if (optind == argc || runs < 1 || runs > 1000000) {
		fprintf(stderr, "usage: timer [-n RUNS] [-o FILE] [-e FILE] COMMAND ARG..."
			" ['|' COMMAND ARG...]...\n");
		return 64;
	}
	split(&p, argv + optind);
	walls = calloc((size_t)runs, sizeof(*walls));
	if (!walls)
		die("memory");
	for (long i = 0; i < runs; i++) {
		double begin = now();

		start(&p);
		finish(&p);
		walls[i] = now() - begin;
	}
	qsort(walls, (size_t)runs, sizeof(*walls), by_value);
	report(&p, walls[runs / 2]);
	free(walls);
	return fflush(stdout) == 0 ? 0 : 74;
}
