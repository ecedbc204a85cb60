// libevent that answers a constant: `constant PORT`.
#include "limit.h"

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

static void limit_request(struct client *client) { limit_answer(client, answer, sizeof answer - 1); }

int main(int count, char **arguments) {
    if (count != 2) return 2;
    return limit_serve(event_base_new(), arguments[1]);
}
