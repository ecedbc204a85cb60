/// Why a request is refused before any route sees it. Each reason has one status; after the answer the
/// connection closes, because the bytes that follow cannot be trusted to start a request.
public enum Refusal: UInt8, Error, CaseIterable, Sendable {
    // Lines (RFC 9112 section 2.2)
    case bareLineFeed
    case bareCarriageReturn
    case controlByte

    // Request line (RFC 9112 section 3)
    case malformedRequestLine
    case malformedMethod
    case malformedTarget
    case malformedVersion
    case unsupportedVersion
    case requestLineTooLong
    case connectNotSupported

    // Fields (RFC 9112 section 5)
    case malformedFieldName
    case spaceBeforeColon
    case foldedLine
    case fieldsTooLarge
    case tooManyFields

    // Host (RFC 9112 section 3.2)
    case hostMissing
    case hostRepeated
    case hostInvalid
    case hostMismatch

    // Framing (RFC 9112 section 6)
    case contentLengthInvalid
    case contentLengthRepeated
    case contentLengthWithTransferEncoding
    case transferEncodingInvalid
    case transferEncodingInHTTP10
    case transferCodingUnknown
    case lengthRequired
    case expectationUnknown
    case bodyTooLarge

    // Chunked body (RFC 9112 section 7.1)
    case malformedChunkSize
    case malformedChunkExtension
    case chunkLineTooLong
    case malformedChunkEnd
    case malformedTrailer
    case trailersTooLarge

    // Time
    case requestTimeout

    /// The status code of the answer.
    public var status: Status {
        switch self {
        case .requestLineTooLong: .uriTooLong
        case .fieldsTooLarge, .tooManyFields, .trailersTooLarge: .requestHeaderFieldsTooLarge
        case .unsupportedVersion: .httpVersionNotSupported
        case .transferCodingUnknown, .connectNotSupported: .notImplemented
        case .lengthRequired: .lengthRequired
        case .expectationUnknown: .expectationFailed
        case .bodyTooLarge: .contentTooLarge
        case .requestTimeout: .requestTimeout
        default: .badRequest
        }
    }

    /// One sentence for the problem body, without anything that the client sent.
    public var reason: StaticString {
        switch self {
        case .bareLineFeed: "A line ends in LF without CR."
        case .bareCarriageReturn: "A CR is not followed by LF."
        case .controlByte: "The request head contains a control byte."
        case .malformedRequestLine: "The request line is not a method, a target and a version with one space between."
        case .malformedMethod: "The method is not a token."
        case .malformedTarget: "The request target is malformed."
        case .malformedVersion: "The HTTP version is malformed."
        case .unsupportedVersion: "Only HTTP/1.1 and HTTP/1.0 are supported."
        case .requestLineTooLong: "The request line is too long."
        case .connectNotSupported: "CONNECT is not supported."
        case .malformedFieldName: "A field name is not a token followed by a colon."
        case .spaceBeforeColon: "A field name is followed by white space."
        case .foldedLine: "A field line starts with white space."
        case .fieldsTooLarge: "The header fields are too large."
        case .tooManyFields: "There are too many header fields."
        case .hostMissing: "The Host field is missing."
        case .hostRepeated: "The Host field is repeated."
        case .hostInvalid: "The Host field is invalid."
        case .hostMismatch: "The target names another host than the Host field."
        case .contentLengthInvalid: "The Content-Length field is not a decimal number."
        case .contentLengthRepeated: "The Content-Length field is repeated."
        case .contentLengthWithTransferEncoding: "Content-Length and Transfer-Encoding exclude each other."
        case .transferEncodingInvalid: "Transfer-Encoding is not a single final chunked."
        case .transferEncodingInHTTP10: "Transfer-Encoding does not exist in HTTP/1.0."
        case .transferCodingUnknown: "The transfer coding is not supported; only chunked is."
        case .lengthRequired: "The request needs Content-Length or chunked."
        case .expectationUnknown: "The expectation is not supported; only 100-continue is."
        case .bodyTooLarge: "The body is too large."
        case .malformedChunkSize: "A chunk size is not a hexadecimal number."
        case .malformedChunkExtension: "A chunk extension is malformed."
        case .chunkLineTooLong: "A chunk-size line is too long."
        case .malformedChunkEnd: "Chunk data is not followed by CRLF."
        case .malformedTrailer: "A trailer field is malformed."
        case .trailersTooLarge: "The trailer fields are too large."
        case .requestTimeout: "The request did not arrive in time."
        }
    }
}
