/* The role `dicom` as a process in its sandbox, with the test as supervisor, vault and sender. */
#include "gate/dicom/role.h"

#include "dicom/dimse.h"
#include "relay/store_scu.h"

#include "gate_fixture.h"

struct bytes_source {
    struct span left;
};

static bool give(void *context, uint8_t *out, size_t cap, size_t *len, struct error *err)
{
    struct bytes_source *b = context;
    struct span part = span_part(b->left, 0, cap);

    (void)err;
    memcpy(out, part.ptr, part.len);
    b->left = span_part(b->left, part.len, SIZE_MAX);
    *len = part.len;
    return true;
}

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define EXPLICIT_LE "1.2.840.10008.1.2.1"

static struct scu *associate(const struct house *h, const char *host, struct error *err)
{
    struct scu_context contexts[] = { { .sop_class_uid = SPAN_LIT(CT), .transfer_syntax_uid = SPAN_LIT(EXPLICIT_LE) } };
    char port[8];

    (void)snprintf(port, sizeof port, "%u", ntohs(h->address.sin_port));
    return scu_open(host, port, SPAN_LIT("CT1"), SPAN_LIT("FANAL"), contexts, 1, err);
}

/* A data set with its UIDs and pixel_bytes of pixels. */
static void write_object(struct writer *w, size_t pixel_bytes)
{
    write_span(w, HEX("0800 1600 5549 1a00 312e322e3834302e31303030382e352e312e342e312e312e3200"
                      "0800 1800 5549 0600 312e322e3300 2000 0d00 5549 0400 312e3200 e07f 1000 4f57 0000"));
    write_u32le(w, (uint32_t)pixel_bytes);
    write_fill(w, 0x5a, pixel_bytes);
}

TEST(an_object_goes_through_the_processes)
{
    struct house h;
    struct error err = { 0 };
    const size_t sizes[] = { 10, 300000, 5000000 };

    house_open(&h, dicom_listener_run, PROCESS_DICOM_ASSOCIATION);
    for (int round = 0; round < 2; round++) {
        struct scu *scu = associate(&h, "127.0.0.1", &err);

        CHECK_ROW(err.text, scu != NULL);
        EACH (size, sizes) {
            struct writer object = writer_new((size_t)6 << 20);
            struct bytes_source source;
            uint16_t status = 1;

            write_object(&object, *size);
            source.left = writer_span(&object);
            CHECK_ROW(err.text, scu_store(scu, 0, SPAN_LIT(CT), SPAN_LIT("1.2.3"), give, &source, &status, &err));
            CHECK(status == STATUS_SUCCESS);
            CHECK(span_equal(writer_span(&h.vault->kept), writer_span(&object)));
            writer_done(&object);
        }
        scu_close(scu);
    }
    CHECK(h.vault->kept_count == 6);
    house_close(&h);
}

/* A thousand connections that say nothing keep nobody waiting. */
TEST(a_silent_crowd_delays_nobody)
{
    enum { CROWD = 1000, DELAY_MAX_MS = 2000 }; /* some 10 ms on an idle machine; tests share theirs */
    struct house h;
    struct error err = { 0 };
    struct scu *scu;
    int crowd[CROWD];
    uint64_t began, took;

    house_open(&h, dicom_listener_run, PROCESS_DICOM_ASSOCIATION);
    for (size_t i = 0; i < CROWD; i++)
        crowd[i] = connect_from(&h, 2);
    began = clock_monotonic_ms(&clock_system);
    scu = associate(&h, "127.0.0.1", &err);
    took = clock_monotonic_ms(&clock_system) - began;
    CHECK_ROW(err.text, scu != NULL);
    CHECK(took < DELAY_MAX_MS);
    CHECK(h.vault->count == 1); /* one session: the crowd has none */
    scu_close(scu);
    for (size_t i = 0; i < CROWD; i++)
        file_close(&crowd[i]);
    house_close(&h);
}

/* Half a request costs a process, of which a source has LISTENER_SOURCE_WAITING_MAX. */
TEST(a_crowd_with_half_a_request_delays_nobody)
{
    enum { CROWD = 200 };
    struct house h;
    struct error err = { 0 };
    int crowd[CROWD];
    uint64_t began, took;
    struct scu *scu;

    house_open(&h, dicom_listener_run, PROCESS_DICOM_ASSOCIATION);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = connect_from(&h, 2);
        if (i % 2)
            (void)send(crowd[i], "\1\0\0\0\1", 5, MSG_NOSIGNAL);
    }
    began = clock_monotonic_ms(&clock_system);
    scu = associate(&h, "127.0.0.1", &err);
    took = clock_monotonic_ms(&clock_system) - began;
    CHECK_ROW(err.text, scu != NULL && took < 5000);
    scu_close(scu);
    for (size_t i = 0; i < CROWD; i++)
        file_close(&crowd[i]);
    house_close(&h);
}

TESTS(T(an_object_goes_through_the_processes), T(a_silent_crowd_delays_nobody),
      T(a_crowd_with_half_a_request_delays_nobody))
