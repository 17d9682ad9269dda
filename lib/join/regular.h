/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The regular join: no time, no windows. Every row of one input is joined with every
 * row of the other that has the same key (and for which the condition is true), as long
 * as both are there; what the inputs take back, the result takes back. Both inputs are
 * kept, and are taken as they come: the table that results is promised, not the bytes.
 *
 * Row kinds of the result are +I and -D: a row comes, a row goes. It is a changelog only
 * where rows can go: never for an inner join of inputs that only add, nor for a semi
 * join of them.
 */
#ifndef FL_JOIN_REGULAR_H
#define FL_JOIN_REGULAR_H

#include "join/pairs.h"

extern const struct fl_join_engine fl_join_regular;

#endif
