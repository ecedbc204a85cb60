#ifndef SLUICE_CKAFKA_H
#define SLUICE_CKAFKA_H

#include <stddef.h>
#include <stdint.h>

struct rd_kafka_s;
struct rd_kafka_topic_s;

/// One header: where its name and value stand in the bytes that are passed beside it.
struct sluice_kafka_header {
    uint32_t name_start;
    uint32_t name_size;
    uint32_t value_start;
    uint32_t value_size;
};

/// What to produce. Everything is copied before the call returns.
struct sluice_kafka_record {
    const uint8_t *_Nullable key;  // NULL: a record without a key
    size_t key_size;
    const uint8_t *_Nullable value;
    size_t value_size;
    const struct sluice_kafka_header *_Nullable headers;
    size_t header_count;
    const uint8_t *_Nullable header_bytes;
    int64_t timestamp_milliseconds;
    uint64_t opaque;  // comes back as the report's `_private`
    int32_t partition;
};

/// rd_kafka_producev is variadic, and no call without variadics takes headers and reports a refusal without
/// allocating. Never blocks. Returns 0 or an rd_kafka_resp_err_t.
int32_t sluice_kafka_try_produce(
    struct rd_kafka_s *_Nonnull client, struct rd_kafka_topic_s *_Nonnull topic,
    const struct sluice_kafka_record *_Nonnull record);

#endif
