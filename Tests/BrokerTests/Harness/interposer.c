// Stands between the broker and the kernel (LD_PRELOAD) and writes down what has reached the disk for certain: after each
// completed fdatasync or fsync the file and its size as the call began, after each synced folder the names in it.
// It also plays a full disk: while the file named by SLUICE_FULL exists, growing writes under SLUICE_DATA fail with ENOSPC.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int record = -1;
static const char *full;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SLUICE_SYNC_RECORD");
    if (path != NULL) record = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    full = getenv("SLUICE_FULL");
    unsetenv("LD_PRELOAD");
}

static void note(const char *line) {
    if (record >= 0 && write(record, line, strlen(line)) < 0) abort();
}

static int path_of(int fd, char *path, size_t capacity) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, capacity - 1);
    if (length < 0) return -1;
    path[length] = 0;
    return 0;
}

static int synced(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    char path[1024], line[1400];
    struct stat before;
    int known = fstat(fd, &before) == 0 && path_of(fd, path, sizeof path) == 0;
    char *names = NULL;
    size_t size = 0;
    if (known && S_ISDIR(before.st_mode)) {
        FILE *list = open_memstream(&names, &size);
        DIR *folder = opendir(path);
        struct dirent *entry;
        while (folder != NULL && (entry = readdir(folder)) != NULL) {
            if (entry->d_name[0] != '.') fprintf(list, "name\t%s/%s\n", path, entry->d_name);
        }
        if (folder != NULL) closedir(folder);
        fclose(list);
    }
    int code = real(fd);
    int saved = errno;
    if (code == 0 && known) {
        if (names != NULL) {
            note(names);
        } else {
            snprintf(line, sizeof line, "sync\t%s\t%lld\n", path, (long long)before.st_size);
            note(line);
        }
    }
    free(names);
    errno = saved;
    return code;
}

int fdatasync(int fd) { return synced(fd, "fdatasync"); }
int fsync(int fd) { return synced(fd, "fsync"); }

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    int code = real(from, to);
    char line[2400];
    snprintf(line, sizeof line, "rename\t%s\t%s\n", from, to);
    if (code == 0) note(line);
    return code;
}

static int is_full(int fd, size_t count, off_t offset) {
    if (full == NULL || access(full, F_OK) != 0) return 0;
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && offset + (off_t)count > status.st_size;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL) real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    if (is_full(fd, count, offset)) {
        // As a real file system does: what still fits is written.
        if (count > 10 && real(fd, bytes, count / 2, offset) < 0) abort();
        errno = ENOSPC;
        return -1;
    }
    return real(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) { return pwrite(fd, bytes, count, offset); }
