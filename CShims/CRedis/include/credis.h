#ifndef SLUICE_CREDIS_H
#define SLUICE_CREDIS_H

// What hiredis 0.14 leaves undone about its sockets and Swift cannot do: `fcntl` is variadic and SIG_IGN
// a cast in a macro.

/// Sets FD_CLOEXEC, which hiredis 0.14 does not, so that a child process inherits no connection. 0 or -errno.
int sluice_redis_descriptor_close_on_exec(int descriptor);
/// Ignores SIGPIPE unless the process has a handler of its own: hiredis 0.14 sends with write(2), and a server
/// that has gone must be an error, not the end of the process. 0 or -errno.
int sluice_redis_sigpipe_ignore(void);

#endif
