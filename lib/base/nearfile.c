/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearfile.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

#define NAMES_MAX 20000 /* of a directory: more are not looked through */

/* The name in the directory that is nearest to name, to be freed; or NULL. */
static char *
nearest_in(const char *directory, const char *name)
{
	size_t len = strlen(name), distance = len > 1 ? len / 3 + 1 : 0;
	DIR *d = opendir(directory);
	struct dirent *e;
	char *best = NULL;

	for (size_t n = 0; d && n < NAMES_MAX && (e = readdir(d)); n++) {
		size_t e_len = strlen(e->d_name);
		size_t far = fl_edit_distance(name, len, e->d_name, e_len, distance + 1);

		/* of two that are as near the first by name, not the first on the disk */
		if (e->d_name[0] == '.' || far > distance ||
		    (far == distance && best && strcmp(e->d_name, best) > 0))
			continue;
		distance = far;
		free(best);
		best = fl_xstrdup(e->d_name);
	}
	if (d)
		(void)closedir(d);
	return best;
}

/* How much of path is the first part that is not there. */
static size_t
missing_part(const char *path)
{
	size_t len = strlen(path), end = 0;
	struct stat st;

	while (end < len) {
		char *part;
		int rc;

		end += 1 + strcspn(path + end + 1, "/");
		part = fl_xstrndup(path, end);
		rc = stat(part, &st);
		free(part);
		if (rc < 0)
			return end;
	}
	return len;
}

int
fl_fail_open(struct fl_err *err, int errnum, const char *path)
{
	size_t len = strlen(path), missing;
	char *part, *slash, *name, *near;

	(void)fl_fail_errno(err, FL_ENOINPUT, errnum, "cannot open %s", path);
	if (errnum != ENOENT || len == 0)
		return err->code;
	missing = missing_part(path);
	part = fl_xstrndup(path, missing);
	slash = strrchr(part, '/');
	name = slash ? slash + 1 : part;
	if (slash)
		*slash = '\0';
	near = nearest_in(!slash ? "." : slash == part ? "/" : part, name);
	if (slash)
		*slash = '/';
	if (missing < len)
		(void)fl_fail(err, FL_ENOINPUT, "cannot open %s: there is no directory %s", path,
			      part);
	len = strlen(err->msg);
	if (near)
		(void)snprintf(err->msg + len, sizeof err->msg - len, " (did you mean %.*s%s%s?)",
			       (int)(name - part), part, near, missing < strlen(path) ? "/" : "");
	free(near);
	free(part);
	return err->code;
}
