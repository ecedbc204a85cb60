public import Ledger

/// What is wrong with one place of a body.
public struct ValidationProblem: Equatable, Sendable {
    public enum Code: UInt8, Sendable, CaseIterable {
        /// A member that is required is not there.
        case required
        case unknownMember
        case duplicateMember
        case wrongType
        /// A number with a fraction or an exponent, or `-0`.
        case notAnInteger
        case outOfRange
        /// Not one of the values that the member may have, or not in the form it must have.
        case invalidValue
        case tooLong
        case tooManyMembers
        /// Debit and credit are one account.
        case sameAccount

        public var text: StaticString {
            switch self {
            case .required: "required"
            case .unknownMember: "unknown_member"
            case .duplicateMember: "duplicate_member"
            case .wrongType: "wrong_type"
            case .notAnInteger: "not_an_integer"
            case .outOfRange: "out_of_range"
            case .invalidValue: "invalid_value"
            case .tooLong: "too_long"
            case .tooManyMembers: "too_many_members"
            case .sameAccount: "same_account"
            }
        }
    }

    public let code: Code
    /// Where, as a JSON pointer (RFC 6901); empty for the body as a whole. For a member that is missing: where it would stand.
    public let pointer: String
    /// For people; may be reworded.
    public let detail: String

    public init(_ code: Code, at pointer: String, _ detail: String) {
        self.code = code
        self.pointer = pointer
        self.detail = detail
    }
}

/// A refusal with all that its body tells (RFC 9457).
public struct Problem: Error, Equatable, Sendable {
    /// How many places of a body are told at once.
    public static let errorsMax = 8

    public var code: ProblemCode
    /// What is particular to this occurrence, for people.
    public var detail: String?
    /// The path of the resource it is about.
    public var instance: String?
    /// At most `errorsMax`.
    public var errors: [ValidationProblem]
    /// The payment the request is about, known even where its outcome is not.
    public var paymentID: OperationID?
    /// The payment's body as `append(_: Payment)` wrote it, for a declined one.
    public var payment: [UInt8]?

    /// Whether it tells nothing but its code, so that its body is that of every such problem.
    public var isPlain: Bool { detail == nil && instance == nil && errors.isEmpty && paymentID == nil && payment == nil }

    public init(
        _ code: ProblemCode, detail: String? = nil, instance: String? = nil, errors: [ValidationProblem] = [],
        paymentID: OperationID? = nil,
        payment: [UInt8]? = nil
    ) {
        self.code = code
        self.detail = detail
        self.instance = instance
        self.errors = errors
        self.paymentID = paymentID
        self.payment = payment
    }
}
