/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a code and one finished sentence.
 *
 * Concepts
 *   Library code never prints and never exits. A function that can fail
 *   returns 0 or a negative enum fl_code and takes a struct fl_err as its
 *   last parameter, which it fills with a message fit to be printed behind
 *   "TOOL: ". On success the struct is untouched. Only the runner prints.
 *
 * Codes
 *   A code is the negated exit status, so that what an error means to a
 *   script is said where the error is found (flue(7), EXIT STATUS).
 *
 * Ownership
 *   The message lives inside the struct: reporting an error allocates
 *   nothing, so running out of memory can be reported too.
 */
#ifndef FL_BASE_ERR_H
#define FL_BASE_ERR_H

#include <stdbool.h>

enum fl_code {
	FL_OK = 0,
	FL_EUSAGE = -64,       /* unknown option, column, function; value out of range */
	FL_EDATA = -65,        /* bad record, damaged stream or checkpoint */
	FL_ENOINPUT = -66,     /* an input cannot be opened */
	FL_EUNAVAILABLE = -69, /* a needed service or neighbour is not there */
	FL_EBUG = -70,         /* our own mistake */
	FL_ELIMIT = -71,       /* memory or another limit reached */
	FL_ECREATE = -73,      /* an output cannot be created */
	FL_EIO = -74,          /* reading or writing failed, a full disk */
	FL_ETEMP = -75,        /* stopped early; the same line again goes on */
	FL_ECONFIG = -78,      /* checkpoint, input or output does not fit */
	FL_EINTERRUPT = -130,  /* Ctrl-C */
	FL_EPIPE = -141,       /* the reader went away */
};

struct fl_err {
	int code;       /* 0 or an enum fl_code */
	bool quiet;     /* somebody upstream has already printed the message */
	char msg[1000]; /* without program name and final newline */
};

#define FL_PRINTF(a, b) __attribute__((format(printf, a, b)))

/*
 * Fill *err and return code, so that "return fl_fail(...)" is one line. Control
 * characters of the message become ?, but for line feeds and tabs.
 */
int fl_fail(struct fl_err *err, int code, const char *fmt, ...) FL_PRINTF(3, 4);

/* The same, with ": " and strerror(errnum) behind the message. */
int fl_fail_errno(struct fl_err *err, int code, int errnum, const char *fmt, ...) FL_PRINTF(4, 5);

/* Put "fmt: " before the message of an error on its way up; returns its code. */
int fl_wrap(struct fl_err *err, const char *fmt, ...) FL_PRINTF(2, 3);

/*
 * A broken invariant of our own: prints file, line and condition, exits 70.
 * Stays on in release builds. Never for anything that input can cause.
 */
_Noreturn void fl_assert_failed(const char *file, int line, const char *what);
#define fl_assert(c) ((c) ? (void)0 : fl_assert_failed(__FILE__, __LINE__, #c))

#endif
