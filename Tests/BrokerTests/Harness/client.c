// The measured client of `make bench-broker`: librdkafka as a payment system uses it, in C so that the client leaves the two
// processors to the broker. Each mode prints one JSON object.
//
//     client hold BOOTSTRAP TOPIC PARTITIONS RATE SECONDS LINGER_MS IDEMPOTENT   produce at a fixed rate beside a live consumer
//     client fill BOOTSTRAP TOPIC PARTITIONS COUNT                               as fast as the broker takes them
//     client read BOOTSTRAP TOPIC PARTITIONS COUNT                               from the start, as fast as they come
//     client mock TOPIC PARTITIONS [TOPIC PARTITIONS ...]                        librdkafka's mock cluster, until standard input ends
//
// A record has 200 bytes and begins with the time it should have been sent at: latencies count from there (open loop).
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { record_bytes = 200, samples_max = 400000 };

struct samples {
    uint32_t *microseconds;
    int count;
};

static struct samples reports, arrivals;
static atomic_long failed, delivered, consumed;
static atomic_bool stopping, following;
static int64_t sampling = 1;

static int64_t now_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sleep_until(int64_t nanoseconds) {
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void stop_with(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void note(struct samples *samples, const void *payload, size_t bytes) {
    int64_t head[2];
    if (bytes < sizeof head) return;
    memcpy(head, payload, sizeof head);
    if (head[1] % sampling != 0 || samples->count == samples_max) return;
    samples->microseconds[samples->count++] = (uint32_t)((now_nanoseconds() - head[0]) / 1000);
}

static int ascending(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void print_quantiles(const char *name, struct samples *samples) {
    qsort(samples->microseconds, (size_t)samples->count, sizeof(uint32_t), ascending);
    static const double at[] = {0.5, 0.99, 0.999, 1};
    static const char *const names[] = {"p50", "p99", "p999", "max"};
    printf(", \"%s\": {\"samples\": %d", name, samples->count);
    for (int index = 0; index < 4 && samples->count > 0; index++) {
        int position = (int)(at[index] * samples->count);
        if (position >= samples->count) position = samples->count - 1;
        printf(", \"%s_ms\": %.3f", names[index], samples->microseconds[position] / 1000.0);
    }
    printf("}");
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) stop_with(name, error);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char error[512];
    rd_kafka_t *handle = rd_kafka_new(type, conf, error, sizeof error);
    if (handle == NULL) stop_with("librdkafka", error);
    return handle;
}

// MARK: Producing

static void reported(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    (void)handle;
    (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        failed++;
        return;
    }
    delivered++;
    note(&reports, message->payload, message->len);
}

static void *serve_reports(void *producer) {
    while (!stopping) rd_kafka_poll(producer, 50);
    return NULL;
}

static rd_kafka_t *make_producer(const char *bootstrap, const char *linger, const char *idempotent) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "enable.idempotence", idempotent);
    set(conf, "acks", "all");
    set(conf, "linger.ms", linger);
    set(conf, "queue.buffering.max.messages", "1000000");
    rd_kafka_conf_set_dr_msg_cb(conf, reported);
    return client(RD_KAFKA_PRODUCER, conf);
}

static void produce(rd_kafka_topic_t *topic, int32_t partition, int64_t due, int64_t number) {
    char value[record_bytes] = {0};
    memcpy(value, &due, sizeof due);
    memcpy(value + sizeof due, &number, sizeof number);
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, sizeof value, NULL, 0, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            failed++;
            return;
        }
        usleep(1000);
    }
}

// MARK: Consuming

struct reader {
    const char *bootstrap, *topic;
    int partitions;
    long until;
};

static void *follow(void *context) {
    struct reader *reader = context;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", reader->bootstrap);
    set(conf, "group.id", "bench");
    set(conf, "enable.auto.commit", "false");
    set(conf, "receive.message.max.bytes", "2000000000");
    set(conf, "queued.min.messages", "1000000");
    set(conf, "queued.max.messages.kbytes", "131072");
    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(reader->partitions);
    for (int32_t partition = 0; partition < reader->partitions; partition++) {
        rd_kafka_topic_partition_list_add(list, reader->topic, partition)->offset = 0;
    }
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    // Its first fetches are on their way.
    usleep(reader->until ? 0 : 500000);
    following = true;
    while (!stopping && (reader->until == 0 || consumed < reader->until)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
        if (message == NULL) continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            consumed++;
            if (reader->until == 0) note(&arrivals, message->payload, message->len);
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return NULL;
}

// MARK: Modes

static int hold(char **words) {
    struct reader reader = {words[0], words[1], atoi(words[2]), 0};
    int64_t rate = atoll(words[3]), total = rate * atoll(words[4]);
    sampling = total / samples_max + 1;
    pthread_t consumer, poller;
    pthread_create(&consumer, NULL, follow, &reader);
    while (!following) usleep(1000);
    rd_kafka_t *producer = make_producer(words[0], words[5], words[6]);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, words[1], NULL);
    pthread_create(&poller, NULL, serve_reports, producer);
    // A record for each partition, not counted: connections, producer id, first segments.
    for (int32_t partition = 0; partition < reader.partitions; partition++) produce(topic, partition, now_nanoseconds(), 1);
    rd_kafka_flush(producer, 10000);
    sleep(1);
    reports.count = arrivals.count = 0;
    // Many at once are paced by the millisecond: a sleep for each would cost more than the record.
    int64_t tick = rate > 5000 ? 1000000 : 0;
    int64_t start = now_nanoseconds() + 1000000;
    for (int64_t number = 0; number < total;) {
        int64_t due = start + number * 1000000000 / rate;
        int64_t now = now_nanoseconds();
        if (due > now) {
            sleep_until(due > now + tick ? due : now + tick);
            continue;
        }
        produce(topic, (int32_t)(number % reader.partitions), due, number);
        number++;
    }
    double seconds = (double)(now_nanoseconds() - start) / 1e9;
    rd_kafka_flush(producer, 60000);
    long left = rd_kafka_outq_len(producer);
    for (int wait = 0; wait < 100 && consumed < delivered; wait++) usleep(20000);
    stopping = true;
    pthread_join(consumer, NULL);
    pthread_join(poller, NULL);
    printf("{\"sent\": %" PRId64 ", \"seconds\": %.2f, \"delivered\": %ld, \"failed\": %ld, \"consumed\": %ld", total,
           seconds, (long)delivered - reader.partitions, (long)failed + left, (long)consumed - reader.partitions);
    print_quantiles("report", &reports);
    print_quantiles("consume", &arrivals);
    printf("}\n");
    return 0;
}

static int fill(char **words) {
    rd_kafka_t *producer = make_producer(words[0], "20", "true");
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, words[1], NULL);
    int32_t partitions = atoi(words[2]);
    int64_t total = atoll(words[3]);
    pthread_t poller;
    pthread_create(&poller, NULL, serve_reports, producer);
    int64_t start = now_nanoseconds();
    for (int64_t number = 0; number < total; number++) produce(topic, (int32_t)(number % partitions), start, number + 1);
    rd_kafka_flush(producer, 120000);
    double seconds = (double)(now_nanoseconds() - start) / 1e9;
    printf("{\"delivered\": %ld, \"failed\": %ld, \"seconds\": %.2f}\n", (long)delivered, (long)failed + rd_kafka_outq_len(producer), seconds);
    stopping = true;
    return 0;
}

static int read_all(char **words) {
    struct reader reader = {words[0], words[1], atoi(words[2]), atol(words[3])};
    pthread_t consumer;
    int64_t start = now_nanoseconds();
    pthread_create(&consumer, NULL, follow, &reader);
    while (consumed < reader.until && now_nanoseconds() - start < 120000000000) usleep(500);
    double seconds = (double)(now_nanoseconds() - start) / 1e9;
    stopping = true;
    printf("{\"records\": %ld, \"seconds\": %.3f}\n", (long)consumed, seconds);
    return 0;
}

static int mock(int count, char **words) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *handle = client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(handle, 1);
    for (int index = 0; index + 1 < count; index += 2) rd_kafka_mock_topic_create(cluster, words[index], atoi(words[index + 1]), 1);
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {}
    return 0;
}

int main(int count, char **words) {
    reports.microseconds = malloc(samples_max * sizeof(uint32_t));
    arrivals.microseconds = malloc(samples_max * sizeof(uint32_t));
    if (count == 9 && strcmp(words[1], "hold") == 0) return hold(words + 2);
    if (count == 6 && strcmp(words[1], "fill") == 0) return fill(words + 2);
    if (count == 6 && strcmp(words[1], "read") == 0) return read_all(words + 2);
    if (count >= 4 && strcmp(words[1], "mock") == 0) return mock(count - 2, words + 2);
    fprintf(stderr, "client hold|fill|read|mock ...: see the head of its source\n");
    return 2;
}
