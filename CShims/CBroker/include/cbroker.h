#ifndef SLUICE_CBROKER_H
#define SLUICE_CBROKER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What the log needs from the processor and the kernel and cannot say in Swift: the CRC-32C instruction
// (an intrinsic), and calls that Swift's Glibc module hides (variadic, or behind _GNU_SOURCE).
// Functions return 0 or a value on success and -errno on failure; none of them retries, except on EINTR.

/// CRC-32C (RFC 3720 appendix B.4) of `count` bytes, continued from `seed` (0 for a first piece).
/// One hardware instruction for 8 bytes where the processor has it, else a table.
uint32_t sluice_crc32c(uint32_t seed, const void *_Nullable bytes, size_t count);

/// open(2) is variadic. Close-on-exec. `create`: O_CREAT with mode 0640; `truncate`: O_TRUNC; else read-only when `writable` is 0.
int sluice_file_open(const char *_Nonnull path, int writable, int create, int truncate);
/// Opens a folder and syncs it, so that names made or removed in it survive a power cut.
int sluice_directory_sync(const char *_Nonnull path);
/// Writes all bytes at the offset; on failure some of them may have been written.
int sluice_file_write_all(int descriptor, const void *_Nullable bytes, size_t count, int64_t offset);
/// Reads up to `count` bytes at the offset; fewer only at the end of the file.
ssize_t sluice_file_read(int descriptor, void *_Nonnull bytes, size_t count, int64_t offset);
/// Starts the write-out of all dirty pages of a file and does not wait (sync_file_range is behind _GNU_SOURCE).
int sluice_file_begin_writeout(int descriptor);
/// Another descriptor of the same open file, close-on-exec (fcntl is variadic).
int sluice_file_duplicate(int descriptor);
/// fdatasync, once, without retry: after a failure the kernel may have dropped the pages.
int sluice_file_sync(int descriptor);
int64_t sluice_file_size(int descriptor);
/// An exclusive lock on an open file (flock), not waiting: -EWOULDBLOCK when another process has it.
int sluice_file_lock(int descriptor);
/// The names in a folder, each ended by a zero byte, into `buffer`; `.` and `..` are left out. Returns the bytes used,
/// or -ENOBUFS when the buffer is too small.
ssize_t sluice_directory_list(const char *_Nonnull path, char *_Nonnull buffer, size_t capacity);

#endif
