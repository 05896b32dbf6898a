/* The page's own files: constant, checked again by the browser with their ETag. */
#include "gate/web/page.h"

#include "gate/web/gate.h"

static const struct page_file *find_file(const char *path)
{
    struct span name = span_part(span_str(path), 1, SIZE_MAX);

    if (name.len == 0)
        name = SPAN_LIT("index.html");
    for (size_t i = 0; i < page_file_count; i++)
        if (span_equal(name, span_str(page_files[i].name)))
            return &page_files[i];
    return NULL;
}

bool handle_page(struct call *c, struct error *err)
{
    const struct page_file *file = find_file(http_path(c->request));
    const char *known = http_header(c->request, "If-None-Match");

    if (file == NULL)
        return error_set(err, ERR_NOT_FOUND, "there is nothing under this path");
    http_answer_header(c->answer, "Cache-Control", "no-cache");
    http_answer_header(c->answer, "ETag", "%s", file->etag);
    if (known != NULL && strcmp(known, file->etag) == 0) {
        c->answer->status = 304;
        return true;
    }
    c->answer->status = 200;
    http_answer_header(c->answer, "Content-Type", "%s", file->type);
    c->answer->constant = file->bytes;
    return true;
}
