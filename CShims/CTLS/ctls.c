#include "ctls.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct sluice_tls_context {
    SSL_CTX *library;
};

struct sluice_tls {
    SSL *library;
    BIO *from_peer;
    BIO *to_peer;
};

sluice_tls_context *sluice_tls_context_create(const char *authorities, bool verifies) {
    static const unsigned char protocols[] = "\x08http/1.1";
    sluice_tls_context *context = calloc(1, sizeof *context);
    if (context == NULL) return NULL;
    context->library = SSL_CTX_new(TLS_client_method());
    if (context->library == NULL) goto failed;
    if (SSL_CTX_set_min_proto_version(context->library, TLS1_2_VERSION) != 1) goto failed;
    // Returns 0 for success, unlike everything else.
    if (SSL_CTX_set_alpn_protos(context->library, protocols, sizeof protocols - 1) != 0) goto failed;
    // An idle connection then holds no buffers of 34 kB.
    (void)SSL_CTX_set_mode(context->library, SSL_MODE_RELEASE_BUFFERS);
    if (verifies) {
        int loaded = authorities != NULL ? SSL_CTX_load_verify_file(context->library, authorities)
                                         : SSL_CTX_set_default_verify_paths(context->library);
        if (loaded != 1) goto failed;
        SSL_CTX_set_verify(context->library, SSL_VERIFY_PEER, NULL);
    }
    return context;
failed:
    ERR_clear_error();
    sluice_tls_context_free(context);
    return NULL;
}

void sluice_tls_context_free(sluice_tls_context *context) {
    SSL_CTX_free(context->library);
    free(context);
}

static bool is_numeric(const char *host) {
    unsigned char address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

sluice_tls *sluice_tls_create(sluice_tls_context *context, const char *host) {
    sluice_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) return NULL;
    tls->library = SSL_new(context->library);
    tls->from_peer = BIO_new(BIO_s_mem());
    tls->to_peer = BIO_new(BIO_s_mem());
    if (tls->library == NULL || tls->from_peer == NULL || tls->to_peer == NULL) {
        SSL_free(tls->library);
        BIO_free(tls->from_peer);
        BIO_free(tls->to_peer);
        free(tls);
        return NULL;
    }
    SSL_set_bio(tls->library, tls->from_peer, tls->to_peer);
    SSL_set_connect_state(tls->library);
    int named;
    if (is_numeric(host)) {
        named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->library), host);
    } else {
        named = SSL_set1_host(tls->library, host) == 1 && SSL_set_tlsext_host_name(tls->library, host) == 1;
    }
    if (named != 1) {
        sluice_tls_free(tls);
        return NULL;
    }
    return tls;
}

void sluice_tls_free(sluice_tls *tls) {
    // Its BIOs go with it.
    SSL_free(tls->library);
    free(tls);
}

int sluice_tls_feed(sluice_tls *tls, const uint8_t *bytes, size_t count) {
    if (count > INT_MAX) return -1;
    return BIO_write(tls->from_peer, bytes, (int)count) == (int)count ? 0 : -1;
}

// libssl keeps errors in a queue of the thread and reads it to tell what a call came to: each call starts with it empty.
static int outcome(sluice_tls *tls, int code) {
    int error = SSL_get_error(tls->library, code);
    ERR_clear_error();
    return error;
}

int sluice_tls_shake(sluice_tls *tls) {
    ERR_clear_error();
    int code = SSL_do_handshake(tls->library);
    if (code == 1) return 1;
    return outcome(tls, code) == SSL_ERROR_WANT_READ ? 0 : -1;
}

ssize_t sluice_tls_read(sluice_tls *tls, uint8_t *buffer, size_t capacity) {
    ERR_clear_error();
    size_t count = 0;
    int code = SSL_read_ex(tls->library, buffer, capacity, &count);
    if (code == 1) return (ssize_t)count;
    switch (outcome(tls, code)) {
        case SSL_ERROR_WANT_READ: return 0;
        case SSL_ERROR_ZERO_RETURN: return -1;
        default: return -2;
    }
}

int sluice_tls_write(sluice_tls *tls, const uint8_t *bytes, size_t count) {
    ERR_clear_error();
    size_t written = 0;
    // A memory BIO takes everything: a part is never written.
    int code = SSL_write_ex(tls->library, bytes, count, &written);
    if (code == 1 && written == count) return 0;
    ERR_clear_error();
    return -1;
}

size_t sluice_tls_take(sluice_tls *tls, uint8_t *buffer, size_t capacity) {
    int count = BIO_read(tls->to_peer, buffer, capacity > INT_MAX ? INT_MAX : (int)capacity);
    return count > 0 ? (size_t)count : 0;
}

const char *sluice_tls_distrust(const sluice_tls *tls) {
    long code = SSL_get_verify_result(tls->library);
    return code == X509_V_OK ? NULL : X509_verify_cert_error_string(code);
}
