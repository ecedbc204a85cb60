// Stands between the broker and the kernel (LD_PRELOAD) and writes down what has reached the disk for certain, one line each:
//
//     dirty ID PATH OFFSET COUNT   before a write;  written ID   after it
//     begin ID PATH SIZE           before an fdatasync or fsync of a file;  synced ID   after it succeeded
//     name PATH                    a name in a folder that was synced
//     rename FROM TO, removed PATH
//
// A write is durable when it was written before a sync began that has succeeded. Everything else is the power cut's to take.
// It also plays a full disk: while the file named by SLUICE_FULL exists, growing writes fail with ENOSPC; and a broken one: while the
// file named by SLUICE_BROKEN exists, fdatasync of the files whose path holds its content fails with EIO. Each sync takes
// SLUICE_SYNC_MICROSECONDS longer: on a fast disk hardly a kill would find a write that is not durable.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int record = -1;
static const char *full;
static const char *broken;
static unsigned int delay;
static atomic_long last_id;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SLUICE_SYNC_RECORD");
    if (path != NULL) record = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    full = getenv("SLUICE_FULL");
    broken = getenv("SLUICE_BROKEN");
    if (getenv("SLUICE_SYNC_MICROSECONDS") != NULL) delay = (unsigned int)atoi(getenv("SLUICE_SYNC_MICROSECONDS"));
    unsetenv("LD_PRELOAD");
    // Ids of an earlier process are in the same record.
    last_id = (long)getpid() << 32;
}

static void note(const char *line) {
    if (record >= 0 && write(record, line, strlen(line)) < 0) abort();
}

static void note_id(const char *word, long id) {
    char line[64];
    snprintf(line, sizeof line, "%s\t%ld\n", word, id);
    note(line);
}

static int path_of(int fd, char *path, size_t capacity) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, capacity - 1);
    if (length < 0) return -1;
    path[length] = 0;
    return 0;
}

static int is_broken(const char *path) {
    char part[128];
    int fd = broken != NULL ? open(broken, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    ssize_t length = read(fd, part, sizeof part - 1);
    close(fd);
    if (length <= 0) return 0;
    part[length] = 0;
    return strstr(path, part) != NULL;
}

// The lines for the names in a folder, as they are before it is synced.
static char *names_in(const char *path) {
    char *names = NULL;
    size_t size = 0;
    FILE *list = open_memstream(&names, &size);
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') fprintf(list, "name\t%s/%s\n", path, entry->d_name);
    }
    if (folder != NULL) closedir(folder);
    fclose(list);
    return names;
}

static int synced(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    char path[1024], line[1400];
    struct stat before;
    if (fstat(fd, &before) != 0 || path_of(fd, path, sizeof path) != 0) return real(fd);
    if (is_broken(path)) {
        errno = EIO;
        return -1;
    }
    long id = ++last_id;
    char *names = NULL;
    if (S_ISDIR(before.st_mode)) {
        names = names_in(path);
    } else {
        snprintf(line, sizeof line, "begin\t%ld\t%s\t%lld\n", id, path, (long long)before.st_size);
        note(line);
    }
    if (delay > 0) usleep(delay);
    int code = real(fd);
    int saved = errno;
    if (code == 0 && names != NULL) note(names);
    if (code == 0 && names == NULL) note_id("synced", id);
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

int unlink(const char *path) {
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    int code = real(path);
    char line[1200];
    snprintf(line, sizeof line, "removed\t%s\n", path);
    if (code == 0) note(line);
    return code;
}

static int is_full(const struct stat *status, size_t count, off_t offset) {
    return full != NULL && access(full, F_OK) == 0 && offset + (off_t)count > status->st_size;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL) real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    char path[1024], line[1400];
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || path_of(fd, path, sizeof path) != 0) return real(fd, bytes, count, offset);
    int has_room = !is_full(&status, count, offset);
    // As a real file system does on a full disk: what still fits is written.
    if (!has_room) count = count > 10 ? count / 2 : 0;
    long id = ++last_id;
    snprintf(line, sizeof line, "dirty\t%ld\t%s\t%lld\t%zu\n", id, path, (long long)offset, count);
    note(line);
    ssize_t written = count > 0 ? real(fd, bytes, count, offset) : 0;
    if (written == (ssize_t)count) note_id("written", id);
    if (has_room) return written;
    errno = ENOSPC;
    return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) { return pwrite(fd, bytes, count, offset); }
