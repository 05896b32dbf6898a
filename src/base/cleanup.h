/*
 * Release by scope: CLEANUP(file_close) int fd = …; runs file_close(&fd) on every way out.
 */
#ifndef FANAL_BASE_CLEANUP_H
#define FANAL_BASE_CLEANUP_H

#define CLEANUP(release) __attribute__((cleanup(release)))

#endif
