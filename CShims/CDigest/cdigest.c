#include "cdigest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct sluice_sha256 {
    EVP_MD *algorithm;
    EVP_MD_CTX *state;
};

sluice_sha256 *sluice_sha256_create(void) {
    sluice_sha256 *context = calloc(1, sizeof *context);
    if (context == NULL) return NULL;
    context->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    context->state = EVP_MD_CTX_new();
    if (context->algorithm == NULL || context->state == NULL) {
        sluice_sha256_free(context);
        return NULL;
    }
    return context;
}

void sluice_sha256_free(sluice_sha256 *context) {
    EVP_MD_CTX_free(context->state);
    EVP_MD_free(context->algorithm);
    free(context);
}

int sluice_sha256_begin(sluice_sha256 *context) {
    return EVP_DigestInit_ex2(context->state, context->algorithm, NULL) == 1 ? 0 : -1;
}

int sluice_sha256_update(sluice_sha256 *context, const void *bytes, size_t count) {
    return EVP_DigestUpdate(context->state, bytes, count) == 1 ? 0 : -1;
}

int sluice_sha256_finish(sluice_sha256 *context, uint8_t digest[32]) {
    return EVP_DigestFinal_ex(context->state, digest, NULL) == 1 ? 0 : -1;
}
