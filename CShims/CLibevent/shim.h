// libevent's headers define _GNU_SOURCE themselves and then clash with Glibc's
// module over fd_set; reading features.h first settles it before they do.
#include <features.h>
#include <event2/event.h>
#include <event2/util.h>
