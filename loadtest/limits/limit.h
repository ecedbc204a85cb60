// What both limit programs share: a listener on 127.0.0.1, a connection each for its clients, one read and one write.
// They parse nothing, route nothing and keep no deadline: no server that does can be cheaper, and how near it comes is the measure.
#ifndef LIMIT_H
#define LIMIT_H

#include <features.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client {
    struct event *event;
    int descriptor;
    // Answers that were asked for and not written: the memory stays until none is left.
    int pending;
    bool closed;
};

// Called for every request, which ends with an empty line.
static void limit_request(struct client *client);

static void limit_release(struct client *client) {
    if (client->closed && client->pending == 0) free(client);
}

static void limit_close(struct client *client) {
    if (client->closed) return;
    client->closed = true;
    event_free(client->event);
    close(client->descriptor);
}

// A short write would mean a client that does not read; the load generators here do.
static void limit_answer(struct client *client, const char *bytes, size_t count) {
    if (!client->closed && write(client->descriptor, bytes, count) != (ssize_t)count) limit_close(client);
}

static void limit_readable(evutil_socket_t descriptor, short events, void *context) {
    (void)events;
    static char buffer[16 * 1024];
    struct client *client = context;
    ssize_t count = read(descriptor, buffer, sizeof buffer);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    client->pending++;
    if (count <= 0) limit_close(client);
    const char *from = buffer;
    const char *end = buffer + (count > 0 ? count : 0);
    const char *blank;
    while (!client->closed && (blank = memmem(from, (size_t)(end - from), "\r\n\r\n", 4)) != NULL) {
        limit_request(client);
        from = blank + 4;
    }
    client->pending--;
    limit_release(client);
}

static void limit_accepted(struct evconnlistener *listener, evutil_socket_t descriptor, struct sockaddr *peer, int length, void *context) {
    (void)peer;
    (void)length;
    (void)context;
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) abort();
    client->descriptor = descriptor;
    client->event = event_new(evconnlistener_get_base(listener), descriptor, EV_READ | EV_PERSIST, limit_readable, client);
    event_add(client->event, NULL);
}

// Listens on 127.0.0.1 until the process is ended; returns only when it cannot.
static int limit_serve(struct event_base *base, const char *port) {
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct evconnlistener *listener = evconnlistener_new_bind(
        base, limit_accepted, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096, (struct sockaddr *)&address, sizeof address);
    if (listener == NULL) {
        perror("listen");
        return 1;
    }
    return event_base_dispatch(base) == 0 ? 0 : 1;
}

#endif
