/* The page's files, embedded by tools/embed.py. */
#ifndef FANAL_GATE_WEB_PAGE_H
#define FANAL_GATE_WEB_PAGE_H

#include "base/span.h"

struct page_file {
    const char *name; /* "index.html" */
    const char *type;
    const char *etag; /* with its quotes */
    struct span bytes;
};

extern const struct page_file page_files[];
extern const size_t page_file_count;

#endif
