// C17 without GNU extensions hides sigaction.
#define _GNU_SOURCE

#include "credis.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>

int sluice_redis_descriptor_close_on_exec(int descriptor) {
    int flags = fcntl(descriptor, F_GETFD);
    if (flags < 0) return -errno;
    return fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) < 0 ? -errno : 0;
}

int sluice_redis_sigpipe_ignore(void) {
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) < 0) return -errno;
    if ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL) return 0;
    action.sa_handler = SIG_IGN;
    return sigaction(SIGPIPE, &action, NULL) < 0 ? -errno : 0;
}
