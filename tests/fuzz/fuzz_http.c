/* An HTTP answer, cut at a place of its own choice, and a URL. */
#include <assert.h>

#include "relay/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const struct span all = span_of(bytes, len);
    struct http_reply r, cut;
    struct http_url u;

    if (http_reply_parse(all, true, &r, NULL) == HTTP_DONE) {
        assert(r.status >= 200 && r.status <= 599 && r.body.len <= HTTP_ANSWER_BODY_MAX);
        if (len > 0 && http_reply_parse(span_part(all, 0, bytes[0] % len), false, &cut, NULL) == HTTP_DONE)
            http_reply_done(&cut);
        http_reply_done(&r);
    }
    if (http_url_parse(all, &u, NULL)) {
        struct writer w = writer_new(4096);

        http_post_write(&u, "/x", SPAN_LIT("a/b"), SPAN_LIT(""), &w);
        assert(!w.failed && span_index(writer_span(&w), '\n') + 1 < w.len);
        writer_done(&w);
    }
    return 0;
}
