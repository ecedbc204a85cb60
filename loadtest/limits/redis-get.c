// libevent and hiredis: one GET of one key for each request, on one Redis connection: `redis-get PORT REDIS-SOCKET KEY`.
// clang-format off
#include "limit.h"
// clang-format on
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>

static redisAsyncContext *redis;
static const char *key;
static size_t key_bytes;

static void got(redisAsyncContext *context, void *reply_pointer, void *client_pointer) {
    (void)context;
    struct client *client = client_pointer;
    redisReply *reply = reply_pointer;
    client->pending--;
    if (!client->closed) {
        if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len > 4096) {
            fputs("no such value\n", stderr);
            exit(1);
        }
        static char bytes[8192];
        int head = snprintf(
            bytes, sizeof bytes, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", (size_t)reply->len);
        memcpy(bytes + head, reply->str, (size_t)reply->len);
        limit_answer(client, bytes, (size_t)head + (size_t)reply->len);
    }
    limit_release(client);
}

static void limit_request(struct client *client) {
    const char *words[] = {"GET", key};
    const size_t sizes[] = {3, key_bytes};
    client->pending++;
    if (redisAsyncCommandArgv(redis, got, client, 2, words, sizes) != REDIS_OK) exit(1);
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    struct event_base *base = event_base_new();
    redis = redisAsyncConnectUnix(arguments[2]);
    if (redis == NULL || redis->err != 0 || redisLibeventAttach(redis, base) != REDIS_OK) {
        fputs("no Redis\n", stderr);
        return 1;
    }
    key = arguments[3];
    key_bytes = strlen(key);
    return limit_serve(base, arguments[1]);
}
