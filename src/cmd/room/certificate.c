/* A self-signed certificate for the page. See certificate.h. */
#include "cmd/room/certificate.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

/* Ten years: a lantern that goes dark because a certificate expired would be no lantern. */
#define CERTIFICATE_DAYS 3650L
#define NAMES_MAX 512
#define PEM_BYTES_MAX 16384

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool ok = e != NULL && X509_add_ext(x, e, -1) == 1;

    X509_EXTENSION_free(e);
    return ok;
}

static bool add_subject(X509 *x, const char *host)
{
    X509_NAME *name = X509_get_subject_name(x);

    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Fanal", -1, -1, 0) == 1
           && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0) == 1
           && X509_set_issuer_name(x, name) == 1;
}

static bool add_serial(X509 *x)
{
    uint8_t random[16];
    BIGNUM *n;
    bool ok;

    randombytes_buf(random, sizeof random);
    random[0] &= 0x7f; /* positive (RFC 5280 §4.1.2.2) */
    n = BN_bin2bn(random, sizeof random, NULL);
    ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return ok;
}

static X509 *self_sign(EVP_PKEY *key, const char *host, const char *names)
{
    X509 *x = X509_new();

    if (x != NULL && X509_set_version(x, 2) == 1 && add_serial(x) && X509_gmtime_adj(X509_getm_notBefore(x), -86400) != NULL
        && X509_gmtime_adj(X509_getm_notAfter(x), CERTIFICATE_DAYS * 86400) != NULL && X509_set_pubkey(x, key) == 1
        && add_subject(x, host) && add_extension(x, NID_subject_alt_name, names)
        && add_extension(x, NID_basic_constraints, "critical,CA:FALSE")
        && add_extension(x, NID_key_usage, "critical,digitalSignature")
        && add_extension(x, NID_ext_key_usage, "serverAuth") && X509_sign(x, key, EVP_sha256()) > 0)
        return x;
    X509_free(x);
    return NULL;
}

/* What a browser may call this machine: its host name, loopback, and each address the page and the witness door listen on. */
static void subject_names(const struct room *room, const char *host, char *out, size_t cap)
{
    const struct conf_service *services[] = { room == NULL ? NULL : &room->conf.https,
                                              room == NULL ? NULL : &room->conf.witness };
    int n = snprintf(out, cap, "DNS:localhost,DNS:%s,IP:127.0.0.1,IP:::1", host);

    for (size_t j = 0; j < COUNT_OF(services); j++)
        for (size_t i = 0; services[j] != NULL && n >= 0 && (size_t)n < cap && i < services[j]->address_count; i++) {
            const struct sockaddr_storage *a = &services[j]->addresses[i];
            char text[INET6_ADDRSTRLEN];

            if (getnameinfo((const struct sockaddr *)a, sizeof *a, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0
                && strchr(text, '%') == NULL)
                n += snprintf(out + n, cap - (size_t)n, ",IP:%s", text);
        }
}

static struct span bio_span(BIO *b)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);

    return span_of(p, n < 0 ? 0 : (size_t)n);
}

static bool append_rule(struct room *room, struct span key, struct span certificate, struct error *err)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    struct append a = { .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .received_us = clock_wall_us(room->clock) };
    uint64_t position;
    bool ok;

    field_put_str(&w, FIELD_FACT, "tls-key");
    field_put_str(&w, FIELD_ACTOR, "fanal");
    field_put_bytes(&w, FIELD_TLS_KEY, key);
    field_put_bytes(&w, FIELD_TLS_CERTIFICATE, certificate);
    a.facts = writer_span(&w);
    ok = writer_ok(&w, err, "certificate") && vault_append(room->vault, &a, &position, err);
    store_kick(room->store);
    if (w.ptr != NULL)
        sodium_memzero(w.ptr, w.len);
    writer_done(&w);
    return ok;
}

bool certificate_self_signed(const struct room *room, struct writer *key_out, struct writer *certificate_out,
                      struct error *err)
{
    char host[64] = "fanal", names[NAMES_MAX];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *key_pem = BIO_new(BIO_s_secmem()), *certificate_pem = BIO_new(BIO_s_mem());
    X509 *x;
    bool ok;

    (void)gethostname(host, sizeof host - 1);
    subject_names(room, host, names, sizeof names);
    x = key == NULL ? NULL : self_sign(key, host, names);
    ok = x != NULL && key_pem != NULL && certificate_pem != NULL
         && PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) == 1
         && PEM_write_bio_X509(certificate_pem, x) == 1;
    if (ok) {
        write_span(key_out, bio_span(key_pem));
        write_span(certificate_out, bio_span(certificate_pem));
        ok = writer_ok(key_out, err, "TLS key") && writer_ok(certificate_out, err, "certificate");
    } else {
        (void)error_set(err, ERR_IO, "making a TLS key and certificate");
    }
    X509_free(x);
    EVP_PKEY_free(key);
    BIO_free(key_pem);
    BIO_free(certificate_pem);
    return ok;
}

bool certificate_add(struct room *room, struct error *err)
{
    struct writer key = writer_new(PEM_BYTES_MAX), certificate = writer_new(PEM_BYTES_MAX);
    bool ok = certificate_self_signed(room, &key, &certificate, err)
              && append_rule(room, writer_span(&key), writer_span(&certificate), err);

    if (key.ptr != NULL)
        sodium_memzero(key.ptr, key.cap);
    writer_done(&key);
    writer_done(&certificate);
    return ok;
}
