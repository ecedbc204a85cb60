#ifndef SLUICE_CTLS_H
#define SLUICE_CTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// TLS for clients as a machine without a socket: libssl over two memory BIOs. What came from the peer is fed in, what is
// to be sent to it is taken out; the caller moves the bytes. libssl's own functions are not imported into Swift because
// half of them are macros and its headers are large.

typedef struct sluice_tls_context sluice_tls_context;
typedef struct sluice_tls sluice_tls;

/// What all connections share: TLS 1.2 at least, ALPN `http/1.1`. `authorities` is a PEM file, null for the system's.
/// Null when it cannot be read.
sluice_tls_context *_Nullable sluice_tls_context_create(const char *_Nullable authorities, bool verifies);
void sluice_tls_context_free(sluice_tls_context *_Nonnull context);

/// One connection. `host` is a name (sent as SNI) or a numeric address; the certificate must be for it where the context
/// verifies. Null when memory is short. The context must outlive it.
sluice_tls *_Nullable sluice_tls_create(sluice_tls_context *_Nonnull context, const char *_Nonnull host);
void sluice_tls_free(sluice_tls *_Nonnull tls);

/// Takes in bytes that came from the peer. 0, or -1 when memory is short.
int sluice_tls_feed(sluice_tls *_Nonnull tls, const uint8_t *_Nonnull bytes, size_t count);
/// Goes on with the handshake: 1 done, 0 more is needed from the peer, -1 failed.
int sluice_tls_shake(sluice_tls *_Nonnull tls);
/// What the peer sent, in the clear: its count, 0 for nothing yet, -1 when the peer has closed, -2 when it broke the protocol.
ssize_t sluice_tls_read(sluice_tls *_Nonnull tls, uint8_t *_Nonnull buffer, size_t capacity);
/// Enciphers all of it. 0, or -1 when the connection cannot send.
int sluice_tls_write(sluice_tls *_Nonnull tls, const uint8_t *_Nonnull bytes, size_t count);
/// Bytes to send to the peer, 0 for none.
size_t sluice_tls_take(sluice_tls *_Nonnull tls, uint8_t *_Nonnull buffer, size_t capacity);
/// Why the certificate was refused, in libssl's words; null when it was not.
const char *_Nullable sluice_tls_distrust(const sluice_tls *_Nonnull tls);

#endif
