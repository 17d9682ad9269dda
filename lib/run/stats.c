/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create */
#include "run/stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "time/timestamp.h"

#define LINK_MAX 64 /* "/memfd:flue-0123456789abcdef (deleted)" and some */

static struct fl_stats *
map_page(int fd)
{
	void *p = mmap(NULL, sizeof(struct fl_stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The descriptor stays open: by it others find the page. It cannot be cut under them. */
static struct fl_stats *
shared_page(const char *instance)
{
	char name[LINK_MAX];
	int fd;

	(void)snprintf(name, sizeof name, "flue-%s", instance);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(struct fl_stats)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0)
		return map_page(fd);
	(void)close(fd);
	return NULL;
}

struct fl_stats *
fl_stats_new(const char *instance)
{
	struct fl_stats *s = shared_page(instance);
	void *p;

	if (!s) {
		p = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
		if (p == MAP_FAILED)
			return NULL;
		s = p;
	}
	(void)snprintf(s->instance, sizeof s->instance, "%s", instance);
	s->watermark_ms = FL_TIME_MIN;
	s->state_bytes = s->keys = -1;
	s->version = FL_STATS_VERSION;
	return s;
}

void
fl_stats_free(struct fl_stats *s)
{
	if (s)
		(void)munmap(s, sizeof *s);
}

/* Open what a link below /proc leads to, if it is the page of instance. */
static struct fl_stats *
open_page(int dir, const char *name, const char *instance)
{
	struct fl_stats *s = NULL;
	struct stat st;
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof *s &&
	    (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK))
		s = map_page(fd);
	(void)close(fd);
	if (s && s->version == FL_STATS_VERSION && memcmp(s->instance, instance, 17) == 0)
		return s;
	fl_stats_free(s);
	return NULL;
}

/* One descriptor of another process. Whether it is a page that is looked for. */
static void
look_at(int dir, const char *name, const struct fl_lineage *lineage, uint32_t count,
	struct fl_stats **ret)
{
	static const char prefix[] = "/memfd:flue-";
	char link[LINK_MAX];
	ssize_t n = readlinkat(dir, name, link, sizeof link);

	if (n < (ssize_t)(sizeof prefix - 1 + 16) || memcmp(link, prefix, sizeof prefix - 1) != 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		if (!ret[i] && memcmp(link + sizeof prefix - 1, lineage[i].instance, 16) == 0)
			ret[i] = open_page(dir, name, lineage[i].instance);
}

static void
look_at_process(int proc, const char *pid, const struct fl_lineage *lineage, uint32_t count,
		struct fl_stats **ret)
{
	char path[300];
	DIR *dir;
	int fd;

	(void)snprintf(path, sizeof path, "%s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return; /* somebody else's, or gone */
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));)
		look_at(fd, e->d_name, lineage, count, ret);
	(void)closedir(dir);
}

void
fl_stats_find(const struct fl_lineage *lineage, uint32_t count, struct fl_stats **ret)
{
	bool missing = false;
	DIR *proc;

	for (uint32_t i = 0; i < count; i++)
		missing = missing || !ret[i];
	proc = missing ? opendir("/proc") : NULL;
	if (!proc)
		return;
	for (struct dirent *e; (e = readdir(proc));)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			look_at_process(dirfd(proc), e->d_name, lineage, count, ret);
	(void)closedir(proc);
}
