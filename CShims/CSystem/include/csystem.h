#ifndef SLUICE_CSYSTEM_H
#define SLUICE_CSYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// System calls that Swift's importer cannot see (macros, variadics, C-only headers) or that are
// unsafe to write in Swift (what happens between fork and exec).
// Functions return 0 or a value on success and -errno on failure; none of them retries.

/// eventfd(2) is invisible to Swift's Glibc module. A counter, non-blocking and close-on-exec.
int sluice_eventfd_open(void);
/// Adds one. A full counter is already readable, so EAGAIN is success.
int sluice_eventfd_signal(int descriptor);
/// Resets to zero; returns 0 also when it was zero already.
int sluice_eventfd_drain(int descriptor);

/// Monotonic nanoseconds (CLOCK_MONOTONIC). One vDSO call, no system call.
uint64_t sluice_clock_monotonic_nanoseconds(void);
/// Microseconds since 1970-01-01T00:00:00Z (CLOCK_REALTIME).
int64_t sluice_clock_wall_microseconds(void);
/// adjtimex(2), whose structure has bit-fields: 1 when something disciplines the wall clock, 0 when nothing does, -errno.
/// The kernel's bound of the clock's error goes to the argument.
int sluice_clock_synchronised(int64_t *_Nonnull error_microseconds);

/// A listening TCP socket, non-blocking, close-on-exec, SO_REUSEADDR, SO_REUSEPORT as asked.
/// `address` is a numeric IPv4 or IPv6 address. Returns the descriptor or -errno.
int sluice_socket_listen_tcp(const char *_Nonnull address, uint16_t port, int backlog, bool reuse_port);
/// Bounds what the kernel takes for a connection of this listening TCP socket and has not sent yet (TCP_NOTSENT_LOWAT, tcp(7)): beyond it the
/// socket is not writable. 0 or -errno.
int sluice_socket_bound_unsent(int listener, int bytes);
/// Whether a listening socket of its own could be bound there: 0, or -errno, -EADDRINUSE when somebody listens. Nothing stays bound.
int sluice_socket_try_bind(const char *_Nonnull address, uint16_t port);
/// A listening Unix socket at `path` (removed first when a socket stands there); mode is its permission.
int sluice_socket_listen_unix(const char *_Nonnull path, int backlog, uint32_t mode);
/// The port a TCP socket is bound to, or -errno: for a socket that was bound to port 0.
int sluice_socket_local_port(int descriptor);
/// accept4 with SOCK_NONBLOCK | SOCK_CLOEXEC; TCP_NODELAY is set on TCP. Returns the descriptor or -errno.
int sluice_socket_accept(int listener);
/// A non-blocking connect; 0 done or in progress (`*_Nonnull descriptor` is set), -errno failed.
int sluice_socket_connect_tcp(const char *_Nonnull address, uint16_t port, int *_Nonnull descriptor);
int sluice_socket_connect_unix(const char *_Nonnull path, int *_Nonnull descriptor);
/// SO_ERROR of a socket whose connect was in progress: 0 or a positive errno.
int sluice_socket_error(int descriptor);
/// The peer's address as 16 bytes (IPv4 mapped into IPv6); all zero for a Unix socket.
int sluice_socket_peer(int descriptor, uint8_t address[_Nonnull 16]);

/// read(2) and write(2) on a socket, never raising SIGPIPE; -errno on failure, 0 at the end of input.
ssize_t sluice_socket_receive(int descriptor, void *_Nonnull buffer, size_t capacity);
ssize_t sluice_socket_send(int descriptor, const void *_Nonnull bytes, size_t count);

/// Names the calling thread (15 bytes are kept) as `top -H` and `perf` show it.
void sluice_thread_set_name(const char *_Nonnull name);
/// CPU time this process has used, microseconds, user and system.
int64_t sluice_process_cpu_microseconds(void);
/// The same of the calling thread.
int64_t sluice_thread_cpu_microseconds(void);
/// Raises RLIMIT_NOFILE to its hard limit and returns it.
uint64_t sluice_descriptor_limit_raise(void);
/// Makes every signal in the list blocked in this thread and those it starts, and returns a signalfd.
int sluice_signalfd_open(const int *_Nonnull signals, size_t count);
/// The next signal that arrived on a signalfd; 0 when none waits, -errno.
int sluice_signalfd_read(int descriptor);

/// What to start and how. Strings and arrays live until the call returns.
struct sluice_spawn_request {
    const char *_Nonnull path;
    char *_Nullable const *_Nonnull argv;
    char *_Nullable const *_Nonnull envp;
    const char *_Nullable directory;
    int standard_input;   // -1: /dev/null
    int standard_output;  // -1: /dev/null
    int standard_error;   // -1: /dev/null
    bool change_user;
    uint32_t uid;
    uint32_t gid;
    int parent_death_signal;  // 0: none. Kept over exec, so nothing outlives a supervisor that was killed.
    bool new_session;         // setsid(): a terminal's Ctrl-C does not reach it
};
/// fork and exec in C, because only async-signal-safe calls may stand between them.
/// Returns the child's pid, or -errno of the step that failed in the child or the parent.
pid_t sluice_process_spawn(const struct sluice_spawn_request *_Nonnull request);

#endif
