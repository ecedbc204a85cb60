#include "ckafka.h"

#include <librdkafka/rdkafka.h>

/// NULL when there are none; `*failed` is set when memory ran out.
static rd_kafka_headers_t *copy_headers(const struct sluice_kafka_record *record, int *failed) {
    *failed = 0;
    if (record->header_count == 0) return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    if (headers == NULL) {
        *failed = 1;
        return NULL;
    }
    for (size_t index = 0; index < record->header_count; index++) {
        const struct sluice_kafka_header *header = &record->headers[index];
        const char *name = (const char *)record->header_bytes + header->name_start;
        const uint8_t *value = record->header_bytes + header->value_start;
        if (rd_kafka_header_add(headers, name, header->name_size, value, header->value_size) != 0) {
            rd_kafka_headers_destroy(headers);
            *failed = 1;
            return NULL;
        }
    }
    return headers;
}

int32_t sluice_kafka_try_produce(
    struct rd_kafka_s *client, struct rd_kafka_topic_s *topic, const struct sluice_kafka_record *record) {
    int failed = 0;
    rd_kafka_headers_t *headers = copy_headers(record, &failed);
    if (failed) return RD_KAFKA_RESP_ERR__FAIL;

    void *key = (void *)(uintptr_t)record->key;
    void *value = (void *)(uintptr_t)record->value;
    void *opaque = (void *)(uintptr_t)record->opaque;
    rd_kafka_resp_err_t code;
    if (headers != NULL) {
        code = rd_kafka_producev(
            client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, record->key_size),
            RD_KAFKA_V_VALUE(value, record->value_size), RD_KAFKA_V_TIMESTAMP(record->timestamp_milliseconds),
            RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        // The library takes the headers over only when it took the message.
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);
    } else {
        code = rd_kafka_producev(
            client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, record->key_size),
            RD_KAFKA_V_VALUE(value, record->value_size), RD_KAFKA_V_TIMESTAMP(record->timestamp_milliseconds),
            RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
    }
    return (int32_t)code;
}
