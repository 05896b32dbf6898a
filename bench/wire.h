/*
 * The few PDUs that the bench's sender and floor need (PS3.8 §9.3, PS3.7 §6.3), written with none of src/dicom, so
 * that Fanal is not measured with its own code on both ends. Tools of the bench die where Fanal would explain.
 */
#ifndef FANAL_BENCH_WIRE_H
#define FANAL_BENCH_WIRE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/reader.h"
#include "base/writer.h"

#define OWN_PDU_BYTES (256u * 1024)

static inline void die(const char *what)
{
    perror(what);
    exit(2);
}

static inline void receive(int fd, uint8_t *out, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, out, len, 0);

        if (n <= 0)
            die("the connection ended");
        out += n;
        len -= (size_t)n;
    }
}

static inline void send_vector(int fd, struct iovec *v, int count)
{
    while (count > 0) {
        ssize_t n = writev(fd, v, count);

        if (n < 0)
            die("writev");
        for (; count > 0 && (size_t)n >= v->iov_len; v++, count--)
            n -= (ssize_t)v->iov_len;
        if (count > 0) {
            v->iov_base = (uint8_t *)v->iov_base + n;
            v->iov_len -= (size_t)n;
        }
    }
}

static inline void send_span(int fd, struct span s)
{
    struct iovec v = { (void *)(uintptr_t)s.ptr, s.len };

    send_vector(fd, &v, 1);
}

/* One PDU into buffer[OWN_PDU_BYTES]; its body, without the 6-byte header. */
static inline struct span receive_pdu(int fd, uint8_t *buffer, uint8_t *kind)
{
    struct reader r = reader_over(span_of(buffer, 6));
    uint32_t len;

    receive(fd, buffer, 6);
    *kind = read_u8(&r);
    read_skip(&r, 1);
    len = read_u32be(&r);
    if (len > OWN_PDU_BYTES)
        die("a PDU longer than promised");
    receive(fd, buffer, len);
    return span_of(buffer, len);
}

static inline void item(struct writer *w, uint8_t kind, struct span value)
{
    write_u8(w, kind);
    write_u8(w, 0);
    write_u16be(w, (uint16_t)value.len);
    write_span(w, value);
}

/* User information: our maximum length and an implementation class. */
static inline void user_item(struct writer *w)
{
    struct writer u = writer_new(256);

    write_u32be(&u, 0x51000004);
    write_u32be(&u, OWN_PDU_BYTES);
    item(&u, 0x52, SPAN_LIT("2.25.310486210443.2"));
    item(w, 0x50, writer_span(&u));
    writer_done(&u);
}

static inline void element(struct writer *w, uint16_t number, struct span value)
{
    write_u16le(w, 0);
    write_u16le(w, number);
    write_u32le(w, (uint32_t)(value.len + value.len % 2));
    write_span(w, value);
    write_fill(w, 0, value.len % 2);
}

static inline void element_us(struct writer *w, uint16_t number, uint16_t value)
{
    uint8_t v[2] = { (uint8_t)value, (uint8_t)(value >> 8) };

    element(w, number, span_of(v, 2));
}

/* A whole command as one P-DATA-TF PDU on context 1. */
static inline void command_pdu(struct writer *w, struct span fields)
{
    write_u16be(w, 0x0400);
    write_u32be(w, (uint32_t)fields.len + 12 + 6);
    write_u32be(w, (uint32_t)fields.len + 12 + 2);
    write_u16be(w, 0x0103);
    write_u32le(w, 0);
    write_u32le(w, 4);
    write_u32le(w, (uint32_t)fields.len);
    write_span(w, fields);
}

#endif
