/* Pinned TLS over OpenSSL. See pinned.h. */
#include "channel/pinned.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

#define CERTIFICATE_DAYS 3650L /* nobody asks: the pin decides */
#define READ_PIECE       ((size_t)64 * 1024)

struct pinned_identity {
    SSL_CTX *ctx;
    bool server;
};

struct pinned {
    SSL *ssl;
    int fd;
};

static bool tls_failed(struct error *err, enum error_code code, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e == 0 ? NULL : ERR_reason_error_string(e);

    ERR_clear_error();
    return error_set(err, code, "%s: %s", what, reason != NULL ? reason : "failed");
}

/* Every certificate passes here: its SHA-256 is compared by whoever opened the connection. */
static int take_any(X509_STORE_CTX *store, void *context)
{
    (void)store;
    (void)context;
    return 1;
}

static X509 *certificate_of(struct span pem)
{
    BIO *b = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *x = b == NULL ? NULL : PEM_read_bio_X509(b, NULL, NULL, NULL);

    BIO_free(b);
    return x;
}

static EVP_PKEY *key_of(struct span pem)
{
    BIO *b = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *k = b == NULL ? NULL : PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);

    BIO_free(b);
    return k;
}

struct pinned_identity *pinned_identity_new(struct span key, struct span certificate, bool server, struct error *err)
{
    struct pinned_identity *i = calloc(1, sizeof *i);
    X509 *x = certificate_of(certificate);
    EVP_PKEY *k = key_of(key);
    bool ok = i != NULL && x != NULL && k != NULL
              && (i->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method())) != NULL
              && SSL_CTX_set_min_proto_version(i->ctx, TLS1_3_VERSION) == 1
              && SSL_CTX_use_certificate(i->ctx, x) == 1 && SSL_CTX_use_PrivateKey(i->ctx, k) == 1;

    X509_free(x);
    EVP_PKEY_free(k);
    if (!ok) {
        (void)tls_failed(err, ERR_MALFORMED, "TLS key and certificate");
        pinned_identity_free(i);
        return NULL;
    }
    i->server = server;
    SSL_CTX_set_verify(i->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(i->ctx, take_any, NULL);
    (void)SSL_CTX_set_session_cache_mode(i->ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(i->ctx, 0); /* each connection proves both keys */
    return i;
}

void pinned_identity_free(struct pinned_identity *i)
{
    if (i == NULL)
        return;
    SSL_CTX_free(i->ctx);
    free(i);
}

static bool digest_of(const X509 *x, char out[FINGERPRINT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (x == NULL || X509_digest(x, EVP_sha256(), digest, &len) != 1 || len != 32)
        return false;
    for (unsigned i = 0; i < len; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[2 * len] = '\0';
    return true;
}

bool pinned_fingerprint(struct span certificate, char out[FINGERPRINT_SIZE], struct error *err)
{
    X509 *x = certificate_of(certificate);
    bool ok = digest_of(x, out);

    X509_free(x);
    return ok || tls_failed(err, ERR_MALFORMED, "certificate");
}

bool fingerprint_parse(struct span text, char out[FINGERPRINT_SIZE])
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t b = text.ptr[i];

        if (b == ':' && n > 0 && n % 2 == 0)
            continue;
        if (b >= 'A' && b <= 'F')
            b = (uint8_t)(b - 'A' + 'a');
        if (n == FINGERPRINT_SIZE - 1 || !((b >= '0' && b <= '9') || (b >= 'a' && b <= 'f')))
            return false;
        out[n++] = (char)b;
    }
    out[n] = '\0';
    return n == FINGERPRINT_SIZE - 1;
}

/* ---- a key of our own ---- */

static X509 *self_sign(EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();
    X509_NAME *subject = x == NULL ? NULL : X509_get_subject_name(x);

    if (subject != NULL && X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1
        && X509_gmtime_adj(X509_getm_notBefore(x), -86400) != NULL
        && X509_gmtime_adj(X509_getm_notAfter(x), CERTIFICATE_DAYS * 86400) != NULL && X509_set_pubkey(x, key) == 1
        && X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1
        && X509_set_issuer_name(x, subject) == 1 && X509_sign(x, key, EVP_sha256()) > 0)
        return x;
    X509_free(x);
    return NULL;
}

static void write_bio(BIO *b, struct writer *w)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);

    write_span(w, span_of(p, n < 0 ? 0 : (size_t)n));
}

bool pinned_make(const char *name, struct writer *key, struct writer *certificate, struct error *err)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = k == NULL ? NULL : self_sign(k, name);
    BIO *key_pem = BIO_new(BIO_s_secmem()), *pem = BIO_new(BIO_s_mem());
    bool ok = x != NULL && key_pem != NULL && pem != NULL
              && PEM_write_bio_PrivateKey(key_pem, k, NULL, NULL, 0, NULL, NULL) == 1
              && PEM_write_bio_X509(pem, x) == 1;

    if (ok) {
        write_bio(key_pem, key);
        write_bio(pem, certificate);
        ok = writer_ok(key, err, "key") && writer_ok(certificate, err, "certificate");
    } else {
        (void)tls_failed(err, ERR_IO, "making a key");
    }
    BIO_free(key_pem);
    BIO_free(pem);
    X509_free(x);
    EVP_PKEY_free(k);
    return ok;
}

/* ---- a connection ---- */

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* After a call that returned n: true where it is to be called again. */
static bool again(struct pinned *p, int n, int64_t end, struct error *err)
{
    int why = SSL_get_error(p->ssl, n);
    struct pollfd f = { .fd = p->fd, .events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN };
    int64_t left = end - now_ms();

    if (why == SSL_ERROR_ZERO_RETURN || (why == SSL_ERROR_SYSCALL && ERR_peek_error() == 0))
        return error_set(err, ERR_CLOSED, "the other machine has hung up");
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return tls_failed(err, ERR_CLOSED, "TLS");
    if (left <= 0)
        return error_set(err, ERR_TIMEOUT, "the other machine does not answer");
    if (poll(&f, 1, (int)left) < 0 && errno != EINTR)
        return error_errno(err, "poll");
    return true;
}

static bool shake_hands(struct pinned *p, bool server, int timeout_ms, struct error *err)
{
    int64_t end = now_ms() + timeout_ms;
    int n;

    ERR_clear_error();
    while ((n = server ? SSL_accept(p->ssl) : SSL_connect(p->ssl)) != 1)
        if (!again(p, n, end, err))
            return false;
    return true;
}

struct pinned *pinned_open(const struct pinned_identity *i, int socket, int timeout_ms, char peer[FINGERPRINT_SIZE],
                           struct error *err)
{
    struct pinned *p = calloc(1, sizeof *p);
    X509 *x;

    if (p == NULL) {
        file_close(&socket);
        (void)error_set(err, ERR_MEMORY, "TLS");
        return NULL;
    }
    p->fd = socket;
    p->ssl = SSL_new(i->ctx);
    if (p->ssl == NULL || fcntl(socket, F_SETFL, O_NONBLOCK) != 0 || SSL_set_fd(p->ssl, socket) != 1) {
        (void)tls_failed(err, ERR_MEMORY, "TLS");
        pinned_close(p);
        return NULL;
    }
    if (!shake_hands(p, i->server, timeout_ms, err)) {
        pinned_close(p);
        return NULL;
    }
    x = SSL_get1_peer_certificate(p->ssl);
    if (!digest_of(x, peer)) {
        (void)error_set(err, ERR_REFUSED, "the other machine shows no certificate");
        pinned_close(p);
        p = NULL;
    }
    X509_free(x);
    return p;
}

void pinned_close(struct pinned *p)
{
    if (p == NULL)
        return;
    if (p->ssl != NULL) {
        ERR_clear_error();
        (void)SSL_shutdown(p->ssl); /* says goodbye; waits for none */
        SSL_free(p->ssl);
    }
    file_close(&p->fd);
    free(p);
}

bool pinned_read(struct pinned *p, uint8_t *out, size_t len, int timeout_ms, struct error *err)
{
    int64_t end = now_ms() + timeout_ms;

    while (len > 0) {
        int n;

        ERR_clear_error();
        n = SSL_read(p->ssl, out, (int)(len < READ_PIECE ? len : READ_PIECE));
        if (n <= 0) {
            if (!again(p, n, end, err))
                return false;
            continue;
        }
        if (now_ms() > end)
            return error_set(err, ERR_TIMEOUT, "the other machine is too slow");
        out += n;
        len -= (size_t)n;
    }
    return true;
}

bool pinned_write(struct pinned *p, struct span bytes, int timeout_ms, struct error *err)
{
    int64_t end = now_ms() + timeout_ms;

    while (bytes.len > 0) {
        int n;

        ERR_clear_error();
        n = SSL_write(p->ssl, bytes.ptr, (int)(bytes.len < READ_PIECE ? bytes.len : READ_PIECE));
        if (n <= 0) {
            if (!again(p, n, end, err))
                return false;
            continue;
        }
        bytes = span_part(bytes, (size_t)n, bytes.len);
    }
    return true;
}
