#define _GNU_SOURCE
#include "csystem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int sluice_eventfd_open(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int sluice_eventfd_signal(int descriptor) {
    uint64_t one = 1;
    if (write(descriptor, &one, sizeof one) == (ssize_t)sizeof one || errno == EAGAIN) return 0;
    return -errno;
}

int sluice_eventfd_drain(int descriptor) {
    uint64_t count = 0;
    if (read(descriptor, &count, sizeof count) == (ssize_t)sizeof count || errno == EAGAIN) return 0;
    return -errno;
}

uint64_t sluice_clock_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t sluice_clock_wall_microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int sluice_clock_synchronised(int64_t *error_microseconds) {
    struct timex state = {.modes = 0};
    int code = adjtimex(&state);
    if (code < 0) return -errno;
    *error_microseconds = state.maxerror;
    return code != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

// Returns the address's length, or 0 when the text is no numeric address.
static socklen_t parse_address(const char *text, uint16_t port, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        return sizeof *six;
    }
    return 0;
}

static int fail_closing(int descriptor) {
    int code = errno;
    close(descriptor);
    return -code;
}

int sluice_socket_listen_tcp(const char *address, uint16_t port, int backlog, bool reuse_port) {
    struct sockaddr_storage storage;
    socklen_t length = parse_address(address, port, &storage);
    if (length == 0) return -EINVAL;
    int descriptor = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int on = 1;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return fail_closing(descriptor);
    if (reuse_port && setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) return fail_closing(descriptor);
    if (bind(descriptor, (struct sockaddr *)&storage, length) < 0) return fail_closing(descriptor);
    if (listen(descriptor, backlog) < 0) return fail_closing(descriptor);
    return descriptor;
}

int sluice_socket_bound_unsent(int listener, int bytes) {
    // Those that are accepted have it from their listener.
    return setsockopt(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes) < 0 ? -errno : 0;
}

int sluice_socket_try_bind(const char *address, uint16_t port) {
    struct sockaddr_storage storage;
    socklen_t length = parse_address(address, port, &storage);
    if (length == 0) return -EINVAL;
    int descriptor = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    // Passes over connections that are closing, and over no listener (socket(7)).
    int on = 1;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return fail_closing(descriptor);
    if (bind(descriptor, (struct sockaddr *)&storage, length) < 0) return fail_closing(descriptor);
    close(descriptor);
    return 0;
}

// Returns 0 when the path is too long for a Unix socket (107 bytes on Linux).
static socklen_t unix_address(const char *path, struct sockaddr_un *out) {
    size_t length = strlen(path);
    if (length >= sizeof out->sun_path) return 0;
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    memcpy(out->sun_path, path, length + 1);
    return sizeof *out;
}

int sluice_socket_listen_unix(const char *path, int backlog, uint32_t mode) {
    struct sockaddr_un address;
    socklen_t length = unix_address(path, &address);
    if (length == 0) return -ENAMETOOLONG;
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && unlink(path) < 0) return -errno;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (bind(descriptor, (struct sockaddr *)&address, length) < 0) return fail_closing(descriptor);
    if (chmod(path, (mode_t)mode) < 0) return fail_closing(descriptor);
    if (listen(descriptor, backlog) < 0) return fail_closing(descriptor);
    return descriptor;
}

int sluice_socket_local_port(int descriptor) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(descriptor, (struct sockaddr *)&storage, &length) < 0) return -errno;
    if (storage.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&storage)->sin_port);
    if (storage.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
    return -EAFNOSUPPORT;
}

int sluice_socket_accept(int listener) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int descriptor = accept4(listener, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return -errno;
    if (storage.ss_family != AF_UNIX) {
        int on = 1;
        // A peer that is gone already shows at the first read; there is nothing to do about it here.
        (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return descriptor;
}

int sluice_socket_connect_tcp(const char *address, uint16_t port, int *result) {
    struct sockaddr_storage storage;
    socklen_t length = parse_address(address, port, &storage);
    if (length == 0) return -EINVAL;
    int descriptor = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int on = 1;
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) return fail_closing(descriptor);
    if (connect(descriptor, (struct sockaddr *)&storage, length) < 0 && errno != EINPROGRESS) return fail_closing(descriptor);
    *result = descriptor;
    return 0;
}

int sluice_socket_connect_unix(const char *path, int *result) {
    struct sockaddr_un address;
    socklen_t length = unix_address(path, &address);
    if (length == 0) return -ENAMETOOLONG;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (connect(descriptor, (struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS) return fail_closing(descriptor);
    *result = descriptor;
    return 0;
}

int sluice_socket_error(int descriptor) {
    int code = 0;
    socklen_t length = sizeof code;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) < 0 ? errno : code;
}

int sluice_socket_peer(int descriptor, uint8_t address[16]) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    memset(address, 0, 16);
    if (getpeername(descriptor, (struct sockaddr *)&storage, &length) < 0) return -errno;
    if (storage.ss_family == AF_INET) {
        address[10] = address[11] = 0xff;
        memcpy(address + 12, &((struct sockaddr_in *)&storage)->sin_addr, 4);
    } else if (storage.ss_family == AF_INET6) {
        memcpy(address, &((struct sockaddr_in6 *)&storage)->sin6_addr, 16);
    }
    return 0;
}

ssize_t sluice_socket_receive(int descriptor, void *buffer, size_t capacity) {
    ssize_t count = recv(descriptor, buffer, capacity, 0);
    return count < 0 ? -errno : count;
}

ssize_t sluice_socket_send(int descriptor, const void *bytes, size_t count) {
    ssize_t sent = send(descriptor, bytes, count, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

void sluice_thread_set_name(const char *name) {
    char short_name[16];
    snprintf(short_name, sizeof short_name, "%s", name);
    (void)pthread_setname_np(pthread_self(), short_name);
}

int64_t sluice_process_cpu_microseconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

int64_t sluice_thread_cpu_microseconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

uint64_t sluice_descriptor_limit_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return (uint64_t)limit.rlim_cur;
}

int sluice_signalfd_open(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
    int code = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (code != 0) return -code;
    int descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int sluice_signalfd_read(int descriptor) {
    struct signalfd_siginfo info;
    ssize_t count = read(descriptor, &info, sizeof info);
    if (count == (ssize_t)sizeof info) return (int)info.ssi_signo;
    return errno == EAGAIN ? 0 : -errno;
}

// Runs in the child, between fork and exec: async-signal-safe calls only.
static void become(const struct sluice_spawn_request *request, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0) return;
    for (int number = 1; number < NSIG; number++) (void)signal(number, SIG_DFL);
    if (request->new_session && setsid() < 0) return;
    int streams[3] = {request->standard_input, request->standard_output, request->standard_error};
    for (int target = 0; target < 3; target++) {
        int source = streams[target];
        if (source < 0) {
            source = open("/dev/null", target == 0 ? O_RDONLY : O_WRONLY);
            if (source < 0) return;
        }
        if (source == target) {
            int flags = fcntl(source, F_GETFD);
            if (flags < 0 || fcntl(source, F_SETFD, flags & ~FD_CLOEXEC) < 0) return;
        } else if (dup2(source, target) < 0) {
            return;
        }
    }
    // Descriptors that this process inherited without close-on-exec, such as a caller's pipe, would be
    // held open by the child for ever. An old kernel without the call leaves them open, as they were.
    (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (request->directory != NULL && chdir(request->directory) < 0) return;
    if (request->change_user) {
        if (setgroups(0, NULL) < 0 || setgid((gid_t)request->gid) < 0 || setuid((uid_t)request->uid) < 0) return;
    }
    // After setuid, which clears it.
    if (request->parent_death_signal != 0) {
        if (prctl(PR_SET_PDEATHSIG, request->parent_death_signal) < 0) return;
        if (getppid() != parent) _exit(127);  // the parent died before the line above
    }
    execve(request->path, request->argv, request->envp);
}

pid_t sluice_process_spawn(const struct sluice_spawn_request *request) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) return -errno;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        int code = errno;
        close(report[0]);
        close(report[1]);
        return -code;
    }
    if (child == 0) {
        // A report descriptor below 3 would be replaced by a stream.
        int channel = fcntl(report[1], F_DUPFD_CLOEXEC, 3);
        become(request, parent);
        int code = errno;
        ssize_t ignored = write(channel, &code, sizeof code);
        (void)ignored;
        _exit(127);
    }
    close(report[1]);
    int code = 0;
    ssize_t count;
    do {
        count = read(report[0], &code, sizeof code);
    } while (count < 0 && errno == EINTR);
    close(report[0]);
    return count == (ssize_t)sizeof code ? -code : child;
}
