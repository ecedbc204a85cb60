#ifndef SLUICE_CSIMDJSON_H
#define SLUICE_CSIMDJSON_H

#include <stddef.h>
#include <stdint.h>

// simdjson is a C++ library of templates, which Swift's importer does not take without C++ interoperability in every
// module above. Here a text becomes a flat array of nodes; what the nodes may say is decided in Swift.

#ifdef __cplusplus
extern "C" {
#endif

// How Swift sees an enumerator.
#define SLUICE_NAME(name) __attribute__((swift_name(name)))

typedef struct sluice_json_parser sluice_json_parser;

typedef enum __attribute__((enum_extensibility(closed))) sluice_json_status : uint8_t {
    SLUICE_JSON_OK SLUICE_NAME("ok") = 0,
    /// No value: nothing but white space.
    SLUICE_JSON_EMPTY SLUICE_NAME("empty"),
    /// Longer than the parser was made for; nothing was read.
    SLUICE_JSON_TOO_LONG SLUICE_NAME("tooLong"),
    SLUICE_JSON_INVALID_UTF8 SLUICE_NAME("invalidUTF8"),
    /// Objects and arrays inside each other deeper than the parser was made for.
    SLUICE_JSON_TOO_DEEP SLUICE_NAME("tooDeep"),
    /// Something follows the value.
    SLUICE_JSON_TRAILING SLUICE_NAME("trailing"),
    /// Against the grammar of RFC 8259 in any other way, escapes that stand for half a character included.
    SLUICE_JSON_MALFORMED SLUICE_NAME("malformed"),
    /// The library failed by itself (memory).
    SLUICE_JSON_FAILED SLUICE_NAME("failed"),
} sluice_json_status;

typedef enum __attribute__((enum_extensibility(closed))) sluice_json_kind : uint8_t {
    SLUICE_JSON_NULL SLUICE_NAME("null") = 0,
    SLUICE_JSON_FALSE SLUICE_NAME("false"),
    SLUICE_JSON_TRUE SLUICE_NAME("true"),
    /// A number written without fraction and exponent; `text` is as written.
    SLUICE_JSON_INTEGER SLUICE_NAME("integer"),
    /// Any other number; `text` is as written.
    SLUICE_JSON_DECIMAL SLUICE_NAME("decimal"),
    /// `text` has its escapes resolved.
    SLUICE_JSON_STRING SLUICE_NAME("string"),
    SLUICE_JSON_OBJECT SLUICE_NAME("object"),
    SLUICE_JSON_ARRAY SLUICE_NAME("array"),
} sluice_json_kind;

/// A value, in the order of the text: an object's or array's contents follow it directly.
typedef struct sluice_json_node {
    /// A member's name with its escapes resolved; NULL for what is not an object's member. Names and texts live in the
    /// parser until it parses again.
    const uint8_t *_Nullable name;
    const uint8_t *_Nullable text;
    uint32_t name_count;
    uint32_t text_count;
    /// The index of the first node that is neither this one nor inside it.
    uint32_t end;
    sluice_json_kind kind;
} sluice_json_node;

/// A reusable parser; NULL when memory is out. Afterwards parsing allocates nothing.
sluice_json_parser *_Nullable sluice_json_create(uint32_t bytes_max, uint32_t depth_max);
void sluice_json_free(sluice_json_parser *_Nonnull parser);

/// Reads one value. `bytes` are copied, so that no padding is needed and nothing behind them is read.
///
/// At most `nodes_max` nodes are written; `nodes_count` is how many the text has, which may be more (the rest was still
/// checked). The nodes are of use only after `SLUICE_JSON_OK`.
sluice_json_status sluice_json_parse(
    sluice_json_parser *_Nonnull parser, const uint8_t *_Nullable bytes, size_t bytes_count, sluice_json_node *_Nonnull nodes,
    uint32_t nodes_max, uint32_t *_Nonnull nodes_count);

#undef SLUICE_NAME

#ifdef __cplusplus
}
#endif

#endif
