/*
 * How a call says why it failed: a code for programs, a text for people.
 *
 * The caller owns the struct; outputs of a failed call are not written. The text never carries what
 * identifies a patient: it goes to logs and peers.
 */
#ifndef FANAL_BASE_ERROR_H
#define FANAL_BASE_ERROR_H

#include <stdbool.h>

enum error_code {
    ERR_NONE = 0,
    ERR_TRUNCATED,   /* a length points past the bytes that are there */
    ERR_MALFORMED,   /* the bytes break their standard */
    ERR_LIMIT,       /* a named limit of ours was passed */
    ERR_UNSUPPORTED, /* valid, but we do not do it */
    ERR_REFUSED,     /* a rule says no */
    ERR_NOT_FOUND,   /* nothing there under that name */
    ERR_EXISTS,      /* it is there already */
    ERR_DAMAGED,     /* stored bytes fail their check */
    ERR_NO_SPACE,    /* the disk (or its reserve) is full */
    ERR_MEMORY,      /* an allocation failed */
    ERR_IO,          /* a system call failed */
    ERR_TIMEOUT,     /* the other side did not answer in time */
    ERR_CLOSED,      /* the other side is gone */
    ERR_BUSY,        /* somebody else holds it */
    ERR_USAGE,       /* the command line or configuration is wrong */
    ERR_SEALED,      /* the master key is not there or not the right one */
    ERR_ERASED,      /* its data key was destroyed: it is gone, by rule */
    ERR_EXPIRED,     /* its body file was deleted when its time was over, by rule */
};

#define ERROR_TEXT_MAX 240

struct error {
    enum error_code code;
    char text[ERROR_TEXT_MAX];
};

/* Sets code and text; a NULL err is allowed. Returns false, so that `return error_set(…)` reads well. */
bool error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set with ERR_IO (ERR_NO_SPACE for ENOSPC and EDQUOT, …) and errno's text behind the words. */
bool error_errno(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts where it happened before what happened ("where: what"). Keeps the code. Returns false. */
bool error_within(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * A want of ours (memory, descriptors, a call that failed, time): it says nothing of what is stored, and may be over at
 * the next try. ERR_MEMORY, ERR_IO, ERR_TIMEOUT, ERR_BUSY.
 */
bool error_is_want(enum error_code code);

/* Stable lower-case name of a code, for logs: "truncated", "no-space" … */
const char *error_name(enum error_code code);

#endif
