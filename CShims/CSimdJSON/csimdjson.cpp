#include "csimdjson.h"

#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

namespace ondemand = simdjson::ondemand;

struct sluice_json_parser {
    explicit sluice_json_parser(uint32_t bytes_max, uint32_t depth_max) noexcept
        : library(capacity(bytes_max)), bytes_max(bytes_max), depth_max(depth_max) {}

    // The text stands between brackets (see `sluice_json_parse`).
    static size_t capacity(uint32_t bytes_max) noexcept { return size_t{bytes_max} + 2; }

    ondemand::parser library;
    std::unique_ptr<uint8_t[]> padded;
    uint32_t bytes_max;
    uint32_t depth_max;
};

namespace {

/// Walks the values and writes them down. A recursion is as deep as the text, which `depth_max` bounds.
struct Walk {
    sluice_json_node *nodes;
    uint32_t nodes_max;
    uint32_t count;
    uint32_t depth_max;

    sluice_json_status value(ondemand::value value, const std::string_view *name, uint32_t depth) noexcept;

  private:
    sluice_json_status contents(ondemand::value value, sluice_json_node &node, uint32_t depth) noexcept;
    sluice_json_status object(ondemand::value value, uint32_t depth) noexcept;
    sluice_json_status array(ondemand::value value, uint32_t depth) noexcept;
};

const uint8_t *bytes_of(std::string_view text) noexcept { return reinterpret_cast<const uint8_t *>(text.data()); }

/// On-Demand hands out a token up to the next one: without the white space between them.
std::string_view trimmed(std::string_view token) noexcept {
    while (!token.empty() && (token.back() == ' ' || token.back() == '\n' || token.back() == '\r' || token.back() == '\t')) {
        token.remove_suffix(1);
    }
    return token;
}

size_t digits(std::string_view token, size_t from) noexcept {
    size_t end = from;
    while (end < token.size() && token[end] >= '0' && token[end] <= '9') end++;
    return end - from;
}

/// RFC 8259 section 6. The library would turn the token into a double, which loses how it was written.
bool number(std::string_view token, sluice_json_kind &kind) noexcept {
    size_t at = token[0] == '-' ? 1 : 0;
    const size_t whole = digits(token, at);
    if (whole == 0 || (whole > 1 && token[at] == '0')) return false;
    at += whole;
    kind = at == token.size() ? SLUICE_JSON_INTEGER : SLUICE_JSON_DECIMAL;
    if (at < token.size() && token[at] == '.') {
        const size_t fraction = digits(token, at + 1);
        if (fraction == 0) return false;
        at += 1 + fraction;
    }
    if (at < token.size() && (token[at] == 'e' || token[at] == 'E')) {
        at++;
        if (at < token.size() && (token[at] == '+' || token[at] == '-')) at++;
        const size_t exponent = digits(token, at);
        if (exponent == 0) return false;
        at += exponent;
    }
    return at == token.size();
}

sluice_json_status Walk::value(ondemand::value value, const std::string_view *name, uint32_t depth) noexcept {
    const uint32_t index = count++;
    sluice_json_node node{};
    if (name != nullptr) {
        node.name = bytes_of(*name);
        node.name_count = static_cast<uint32_t>(name->size());
    }
    const sluice_json_status status = contents(value, node, depth);
    node.end = count;
    if (index < nodes_max) nodes[index] = node;
    return status;
}

sluice_json_status Walk::contents(ondemand::value value, sluice_json_node &node, uint32_t depth) noexcept {
    ondemand::json_type type;
    if (value.type().get(type)) return SLUICE_JSON_MALFORMED;
    std::string_view text;
    switch (type) {
    case ondemand::json_type::object:
        node.kind = SLUICE_JSON_OBJECT;
        return depth == depth_max ? SLUICE_JSON_TOO_DEEP : object(value, depth + 1);
    case ondemand::json_type::array:
        node.kind = SLUICE_JSON_ARRAY;
        return depth == depth_max ? SLUICE_JSON_TOO_DEEP : array(value, depth + 1);
    case ondemand::json_type::string:
        node.kind = SLUICE_JSON_STRING;
        if (value.get_string().get(text)) return SLUICE_JSON_MALFORMED;
        break;
    case ondemand::json_type::number:
        text = trimmed(value.raw_json_token());
        if (!number(text, node.kind)) return SLUICE_JSON_MALFORMED;
        break;
    case ondemand::json_type::boolean:
        text = trimmed(value.raw_json_token());
        node.kind = text == "true" ? SLUICE_JSON_TRUE : SLUICE_JSON_FALSE;
        if (text != "true" && text != "false") return SLUICE_JSON_MALFORMED;
        break;
    case ondemand::json_type::null:
        text = trimmed(value.raw_json_token());
        node.kind = SLUICE_JSON_NULL;
        if (text != "null") return SLUICE_JSON_MALFORMED;
        break;
    }
    node.text = bytes_of(text);
    node.text_count = static_cast<uint32_t>(text.size());
    return SLUICE_JSON_OK;
}

sluice_json_status Walk::object(ondemand::value value, uint32_t depth) noexcept {
    ondemand::object object;
    if (value.get_object().get(object)) return SLUICE_JSON_MALFORMED;
    for (auto result : object) {
        ondemand::field field;
        std::string_view name;
        if (std::move(result).get(field) || field.unescaped_key().get(name)) return SLUICE_JSON_MALFORMED;
        const sluice_json_status status = this->value(field.value(), &name, depth);
        if (status != SLUICE_JSON_OK) return status;
    }
    return SLUICE_JSON_OK;
}

sluice_json_status Walk::array(ondemand::value value, uint32_t depth) noexcept {
    ondemand::array array;
    if (value.get_array().get(array)) return SLUICE_JSON_MALFORMED;
    for (auto result : array) {
        ondemand::value element;
        if (result.get(element)) return SLUICE_JSON_MALFORMED;
        const sluice_json_status status = this->value(element, nullptr, depth);
        if (status != SLUICE_JSON_OK) return status;
    }
    return SLUICE_JSON_OK;
}

sluice_json_status status_of(simdjson::error_code error) noexcept {
    switch (error) {
    case simdjson::SUCCESS: return SLUICE_JSON_OK;
    case simdjson::EMPTY: return SLUICE_JSON_EMPTY;
    case simdjson::UTF8_ERROR: return SLUICE_JSON_INVALID_UTF8;
    case simdjson::CAPACITY: return SLUICE_JSON_TOO_LONG;
    case simdjson::MEMALLOC: return SLUICE_JSON_FAILED;
    default: return SLUICE_JSON_MALFORMED;
    }
}

} // namespace

sluice_json_parser *sluice_json_create(uint32_t bytes_max, uint32_t depth_max) {
    std::unique_ptr<sluice_json_parser> parser(new (std::nothrow) sluice_json_parser(bytes_max, depth_max));
    if (!parser) return nullptr;
    const size_t capacity = sluice_json_parser::capacity(bytes_max);
    parser->padded.reset(new (std::nothrow) uint8_t[capacity + simdjson::SIMDJSON_PADDING]);
    // One level for the brackets around the text, one that is entered before it is refused.
    if (!parser->padded || parser->library.allocate(capacity, size_t{depth_max} + 3)) return nullptr;
    return parser.release();
}

void sluice_json_free(sluice_json_parser *parser) { delete parser; }

sluice_json_status sluice_json_parse(
    sluice_json_parser *parser, const uint8_t *bytes, size_t bytes_count, sluice_json_node *nodes, uint32_t nodes_max,
    uint32_t *nodes_count) {
    *nodes_count = 0;
    if (bytes_count > parser->bytes_max) return SLUICE_JSON_TOO_LONG;
    // Between brackets the text's value is an array's element, whatever its type: On-Demand reads a lone number or literal,
    // and checks what follows the outermost value, less strictly than an element.
    uint8_t *text = parser->padded.get();
    const size_t length = bytes_count + 2;
    text[0] = '[';
    if (bytes_count != 0) std::memcpy(text + 1, bytes, bytes_count);
    text[length - 1] = ']';
    std::memset(text + length, 0, simdjson::SIMDJSON_PADDING);

    ondemand::document document;
    const simdjson::error_code error =
        parser->library.iterate(text, length, length + simdjson::SIMDJSON_PADDING).get(document);
    if (error) return status_of(error);
    ondemand::array outer;
    if (document.get_array().get(outer)) return SLUICE_JSON_MALFORMED;

    Walk walk{nodes, nodes_max, 0, parser->depth_max};
    uint32_t values = 0;
    for (auto result : outer) {
        if (values++ == 1) return SLUICE_JSON_TRAILING;
        ondemand::value value;
        if (result.get(value)) return SLUICE_JSON_MALFORMED;
        const sluice_json_status status = walk.value(value, nullptr, 0);
        if (status != SLUICE_JSON_OK) return status;
    }
    if (values == 0) return SLUICE_JSON_EMPTY;
    // A bracket of the text's own may have closed the outer array.
    const char *rest;
    if (document.current_location().get(rest) != simdjson::OUT_OF_BOUNDS) return SLUICE_JSON_TRAILING;
    *nodes_count = walk.count;
    return SLUICE_JSON_OK;
}
