/*
 * What every unit test includes: cmocka and the few words style asks for.
 *
 *   TEST(reader_stays_dry) { … CHECK(…); }
 *   TESTS(T(reader_stays_dry), …)       at the end: main() that runs them and prints TAP
 */
#ifndef FANAL_TEST_H
#define FANAL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/span.h"

#define TEST(name) static void name(void **state_)
#define CHECK(claim)                                                  \
    do {                                                              \
        (void)state_;                                                 \
        _assert_true((claim) ? 1 : 0, #claim, __FILE__, __LINE__);    \
    } while (0)
/* For a row of a table: says which one. */
#define CHECK_ROW(name, claim)                                                          \
    do {                                                                                \
        bool held_ = (claim); /* once: a claim may act */                               \
        (void)state_;                                                                   \
        if (!held_)                                                                     \
            print_error("row \"%s\": ", (name));                                        \
        _assert_true(held_ ? 1 : 0, #claim, __FILE__, __LINE__);                        \
    } while (0)
#define EACH(row, rows) \
    for (size_t i_ = 0; i_ < sizeof(rows) / sizeof((rows)[0]); i_++) \
        for (int once_ = 1; once_; ) \
            for (__auto_type row = &(rows)[i_]; once_; once_ = 0)
/* Ends a test that cannot be tried here, and says why: a skip to tests/count.py (cmocka's skip() writes "not ok", which meson takes for a failure). */
#define NOT_HERE(why)                       \
    do {                                    \
        print_message("# not tried: " why "\n"); \
        return;                             \
    } while (0)

#define T(name) cmocka_unit_test(name)
#define TESTS(...)                                                       \
    int main(void)                                                       \
    {                                                                    \
        const struct CMUnitTest tests_[] = { __VA_ARGS__ };              \
        cmocka_set_message_output(CM_OUTPUT_TAP);                        \
        return cmocka_run_group_tests(tests_, NULL, NULL);               \
    }

/* HEX("01 00 0a") → a span over static-for-the-call bytes (a small ring; enough for one table). */
static inline struct span hex_span(const char *text)
{
    static uint8_t ring[1 << 16];
    static size_t at;
    size_t n = 0;
    uint8_t *out;

    if (at + strlen(text) / 2 + 1 > sizeof ring)
        at = 0;
    out = ring + at;
    for (const char *p = text; *p != '\0';) {
        unsigned v;

        if (*p == ' ' || *p == '\n') {
            p++;
            continue;
        }
        if (sscanf(p, "%2x", &v) != 1)
            abort();
        out[n++] = (uint8_t)v;
        p += 2;
    }
    at += n;
    return span_of(out, n);
}
#define HEX(text) hex_span(text)

#endif
