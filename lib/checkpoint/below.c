/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_PATH, O_NOFOLLOW */
#include "checkpoint/below.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 3u
#define COMPONENT_MAX 128u

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

bool
fl__name_ok(const char *name, size_t max)
{
	unsigned depth = 1;
	size_t len = 0;

	if (strlen(name) > max)
		return false;
	for (const char *p = name; *p; p++) {
		if (*p == '/') {
			if (len == 0 || ++depth > DEPTH_MAX)
				return false;
			len = 0;
		} else if (!is_name_char(*p) || (*p == '.' && len == 0) || ++len > COMPONENT_MAX) {
			return false;
		}
	}
	return len > 0;
}

int
fl__open_parent(int dirfd, const char *name, const char **ret_last)
{
	int fd;

	if (!fl__name_ok(name, DEPTH_MAX * (COMPONENT_MAX + 1))) {
		errno = EINVAL;
		return -1;
	}
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (const char *slash; fd >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
		char component[COMPONENT_MAX + 1];
		size_t n = (size_t)(slash - name);
		int next, code;

		memcpy(component, name, n);
		component[n] = '\0';
		next = openat(fd, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		code = errno;
		(void)close(fd);
		errno = code;
		fd = next;
	}
	*ret_last = name;
	return fd;
}

int
fl__open_below(int dirfd, const char *name, int flags)
{
	const char *last;
	int parent = fl__open_parent(dirfd, name, &last), fd, code;

	if (parent < 0)
		return -1;
	fd = openat(parent, last, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	code = errno;
	(void)close(parent);
	errno = code;
	return fd;
}

int
fl__open_file(int dirfd, const char *name, uint64_t *ret_size, struct fl_err *err)
{
	/* O_NONBLOCK: opening a FIFO without a writer must not wait */
	int fd = fl__open_below(dirfd, name, O_RDONLY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR || errno == EINVAL || errno == ENXIO))
		return fl_fail(err, FL_EDATA,
			       "%s: is not a plain file of this checkpoint directory", name);
	if (fd < 0)
		return fl_fail_errno(err, errno == ENOENT ? FL_ENOINPUT : FL_EIO, errno,
				     "cannot open %s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return fl_fail(err, FL_EDATA, "%s: is not a plain file", name);
	}
	*ret_size = (uint64_t)st.st_size;
	return fd;
}
