public import Ledger

/// Every refusal of the API: `docs/api-errors.md` is this table for readers. A code is for ever, its title may be reworded.
public enum ProblemCode: UInt8, Sendable, CaseIterable {
    case badRequest
    case malformedJSON
    case invalidParameter
    case missingIdempotencyKey
    case invalidIdempotencyKey
    case unauthorized
    case insufficientFunds
    case accountNotFound
    case accountFrozen
    case accountClosed
    case currencyMismatch
    case deadlineExceeded
    case balanceOutOfRange
    case forbidden
    case notFound
    case paymentNotFound
    case paymentNotVisibleYet
    case methodNotAllowed
    case requestTimeout
    case conflict
    case accountExists
    case alreadyClosed
    case balanceNotZero
    case fundsHeld
    case overdraftInUse
    case externalAccount
    case paymentNotAuthorized
    case captureExceedsHold
    case refundExceedsCaptured
    case tooManyChanges
    case revisionNotReached
    case lengthRequired
    case contentTooLarge
    case uriTooLong
    case unsupportedMediaType
    case expectationFailed
    case validationFailed
    case idempotencyKeyReused
    case tooManyRequests
    case headerFieldsTooLarge
    case `internal`
    case notImplemented
    case notAccepted
    case serviceUnavailable
    case outcomeUnknown
    case httpVersionNotSupported

    /// What is the same for every problem of one code.
    public struct Entry: Sendable {
        /// The HTTP status.
        public let status: Int
        /// As the member `code` and the last segment of `type` have it.
        public let code: StaticString
        public let title: StaticString
        /// Whether the same request, under the same idempotency key, may be answered otherwise later.
        public let retryable: Bool
    }

    public var status: Int { entry.status }
    public var retryable: Bool { entry.retryable }

    /// How the API tells that the ledger declined a command.
    public init(_ reason: DeclineReason) {
        switch reason {
        case .insufficientFunds: self = .insufficientFunds
        case .accountNotFound: self = .accountNotFound
        case .accountFrozen: self = .accountFrozen
        case .accountClosed: self = .accountClosed
        case .currencyMismatch: self = .currencyMismatch
        case .deadlineExceeded: self = .deadlineExceeded
        case .balanceOutOfRange: self = .balanceOutOfRange
        case .idempotencyKeyReused: self = .idempotencyKeyReused
        case .accountExists: self = .accountExists
        case .alreadyClosed: self = .alreadyClosed
        case .balanceNotZero: self = .balanceNotZero
        case .fundsHeld: self = .fundsHeld
        case .overdraftInUse: self = .overdraftInUse
        case .externalAccount: self = .externalAccount
        case .paymentNotFound: self = .paymentNotFound
        case .paymentNotAuthorized: self = .paymentNotAuthorized
        case .captureExceedsHold: self = .captureExceedsHold
        case .refundExceedsCaptured: self = .refundExceedsCaptured
        case .tooManyChanges: self = .tooManyChanges
        }
    }

    public var entry: Entry {
        switch self {
        case .badRequest: Entry(400, "bad_request", "The request is not valid HTTP/1.1")
        case .malformedJSON: Entry(400, "malformed_json", "The body is not valid JSON")
        case .invalidParameter: Entry(400, "invalid_parameter", "A parameter of the query is not valid")
        case .missingIdempotencyKey: Entry(400, "missing_idempotency_key", "The Idempotency-Key header is required")
        case .invalidIdempotencyKey: Entry(400, "invalid_idempotency_key", "The Idempotency-Key is not 8 to 255 visible ASCII characters")
        case .unauthorized: Entry(401, "unauthorized", "A valid API key is required")
        case .insufficientFunds: Entry(402, "insufficient_funds", "The account to debit has too little available")
        case .accountNotFound: Entry(402, "account_not_found", "An account of the payment does not exist")
        case .accountFrozen: Entry(402, "account_frozen", "An account of the payment is frozen")
        case .accountClosed: Entry(402, "account_closed", "An account of the payment is closed")
        case .currencyMismatch: Entry(402, "currency_mismatch", "An account of the payment has another currency")
        case .deadlineExceeded: Entry(402, "deadline_exceeded", "The payment expired before it was decided")
        case .balanceOutOfRange: Entry(402, "balance_out_of_range", "A balance would leave the range of money")
        case .forbidden: Entry(403, "forbidden", "The API key does not permit this")
        case .notFound: Entry(404, "not_found", "There is no such resource")
        case .paymentNotFound: Entry(404, "payment_not_found", "There is no such payment")
        case .paymentNotVisibleYet: Entry(404, "payment_not_visible_yet", "The payment is not visible yet", retryable: true)
        case .methodNotAllowed: Entry(405, "method_not_allowed", "The resource does not have this method")
        case .requestTimeout: Entry(408, "request_timeout", "The request did not arrive in time", retryable: true)
        case .conflict: Entry(409, "conflict", "The request conflicts with another one", retryable: true)
        case .accountExists: Entry(409, "account_exists", "The account exists already")
        case .alreadyClosed: Entry(409, "already_closed", "The account is closed, for ever")
        case .balanceNotZero: Entry(409, "balance_not_zero", "The account's balance is not zero")
        case .fundsHeld: Entry(409, "funds_held", "Money is held on the account")
        case .overdraftInUse: Entry(409, "overdraft_in_use", "The account is further below zero than the new limit")
        case .externalAccount: Entry(409, "external_account", "An external account has no limit")
        case .paymentNotAuthorized: Entry(409, "payment_not_authorized", "Nothing is held for the payment")
        case .captureExceedsHold: Entry(409, "capture_exceeds_hold", "Less is held for the payment than is to be captured")
        case .refundExceedsCaptured: Entry(409, "refund_exceeds_captured", "Less was captured than is to be refunded")
        case .tooManyChanges: Entry(409, "too_many_changes", "The payment was captured and refunded too many times")
        case .revisionNotReached: Entry(409, "revision_not_reached", "The revision asked for is not reached yet", retryable: true)
        case .lengthRequired: Entry(411, "length_required", "The Content-Length header is required")
        case .contentTooLarge: Entry(413, "content_too_large", "The body is too large")
        case .uriTooLong: Entry(414, "uri_too_long", "The request target is too long")
        case .unsupportedMediaType: Entry(415, "unsupported_media_type", "The body's type is not application/json")
        case .expectationFailed: Entry(417, "expectation_failed", "The expectation cannot be met")
        case .validationFailed: Entry(422, "validation_failed", "The body is not valid")
        case .idempotencyKeyReused: Entry(422, "idempotency_key_reused", "The Idempotency-Key belongs to another request")
        case .tooManyRequests: Entry(429, "too_many_requests", "Too many requests", retryable: true)
        case .headerFieldsTooLarge: Entry(431, "header_fields_too_large", "The header fields are too large")
        case .internal: Entry(500, "internal", "Something went wrong here", retryable: true)
        case .notImplemented: Entry(501, "not_implemented", "The request asks for something that is not implemented")
        case .notAccepted: Entry(503, "not_accepted", "The request was not accepted, and has no effect", retryable: true)
        case .serviceUnavailable: Entry(503, "service_unavailable", "The service is not available now", retryable: true)
        case .outcomeUnknown: Entry(504, "outcome_unknown", "Whether the request was accepted is not known", retryable: true)
        case .httpVersionNotSupported: Entry(505, "http_version_not_supported", "The HTTP version is not supported")
        }
    }
}

extension ProblemCode.Entry {
    fileprivate init(_ status: Int, _ code: StaticString, _ title: StaticString, retryable: Bool = false) {
        self.init(status: status, code: code, title: title, retryable: retryable)
    }
}
