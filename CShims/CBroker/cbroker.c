#define _GNU_SOURCE
#include "cbroker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t crc_table[256];

__attribute__((constructor)) static void make_crc_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = (value & 1) ? (value >> 1) ^ 0x82f63b78u : value >> 1;
        crc_table[i] = value;
    }
}

static uint32_t crc_by_table(uint32_t crc, const uint8_t *bytes, size_t count) {
    while (count-- > 0) crc = crc_table[(crc ^ *bytes++) & 0xff] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *bytes, size_t count) {
    uint64_t wide = crc;
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    uint32_t narrow = (uint32_t)wide;
    while (count-- > 0) narrow = __builtin_ia32_crc32qi(narrow, *bytes++);
    return narrow;
}
#endif

uint32_t sluice_crc32c(uint32_t seed, const void *bytes, size_t count) {
    if (count == 0) return seed;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc_by_instruction(~seed, bytes, count);
#endif
    return ~crc_by_table(~seed, bytes, count);
}

int sluice_file_open(const char *path, int writable, int create, int truncate) {
    int flags = O_CLOEXEC | (writable ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0) | (truncate ? O_TRUNC : 0);
    int descriptor = open(path, flags, 0640);
    return descriptor < 0 ? -errno : descriptor;
}

int sluice_directory_sync(const char *path) {
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return -errno;
    int code = fsync(descriptor) < 0 ? -errno : 0;
    close(descriptor);
    return code;
}

int sluice_file_write_all(int descriptor, const void *bytes, size_t count, int64_t offset) {
    const uint8_t *next = bytes;
    while (count > 0) {
        ssize_t written = pwrite(descriptor, next, count, offset);
        if (written < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        if (written == 0) return -ENOSPC;
        next += written;
        offset += written;
        count -= (size_t)written;
    }
    return 0;
}

ssize_t sluice_file_read(int descriptor, void *bytes, size_t count, int64_t offset) {
    uint8_t *next = bytes;
    size_t total = 0;
    while (total < count) {
        ssize_t got = pread(descriptor, next + total, count - total, offset + (int64_t)total);
        if (got < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        if (got == 0) break;
        total += (size_t)got;
    }
    return (ssize_t)total;
}

int sluice_file_begin_writeout(int descriptor) {
    return sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE) < 0 ? -errno : 0;
}

int sluice_file_duplicate(int descriptor) {
    int duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    return duplicate < 0 ? -errno : duplicate;
}

int sluice_file_sync(int descriptor) { return fdatasync(descriptor) < 0 ? -errno : 0; }

int64_t sluice_file_size(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) < 0 ? -errno : (int64_t)status.st_size;
}

int sluice_file_lock(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB) < 0 ? -errno : 0; }

ssize_t sluice_directory_list(const char *path, char *buffer, size_t capacity) {
    DIR *folder = opendir(path);
    if (folder == NULL) return -errno;
    size_t used = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        size_t length = strlen(entry->d_name) + 1;
        if (used + length > capacity) {
            closedir(folder);
            return -ENOBUFS;
        }
        memcpy(buffer + used, entry->d_name, length);
        used += length;
    }
    closedir(folder);
    return (ssize_t)used;
}
