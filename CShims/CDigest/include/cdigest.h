#ifndef SLUICE_CDIGEST_H
#define SLUICE_CDIGEST_H

#include <stddef.h>
#include <stdint.h>

// OpenSSL's EVP interface is a set of macros and reference-counted handles, and fetching the algorithm
// costs more than hashing a key does; here the algorithm is fetched once and the context is reused.

typedef struct sluice_sha256 sluice_sha256;

/// A reusable SHA-256 context; NULL when memory is out or the library offers no SHA-256.
sluice_sha256 *_Nullable sluice_sha256_create(void);
void sluice_sha256_free(sluice_sha256 *_Nonnull context);
/// Begins a new message. These three return 0, or -1 when the library failed.
int sluice_sha256_begin(sluice_sha256 *_Nonnull context);
int sluice_sha256_update(sluice_sha256 *_Nonnull context, const void *_Nullable bytes, size_t count);
int sluice_sha256_finish(sluice_sha256 *_Nonnull context, uint8_t digest[_Nonnull 32]);

#endif
