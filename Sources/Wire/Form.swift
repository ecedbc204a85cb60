internal import Bytes
internal import CSimdJSON
internal import Ledger

/// The members that a body may have. One list for all bodies, so that a set of them is a bit mask.
enum Member: UInt8, CaseIterable {
    case type, key, id, account, debit, credit, amount, currency, reference, metadata, expiresAt, kind, overdraftLimit
    case capture, captureBefore, payment, final, side

    var name: StaticString {
        switch self {
        case .type: "type"
        case .key: "key"
        case .id: "id"
        case .account: "account"
        case .debit: "debit"
        case .credit: "credit"
        case .amount: "amount"
        case .currency: "currency"
        case .reference: "reference"
        case .metadata: "metadata"
        case .expiresAt: "expires_at"
        case .kind: "kind"
        case .overdraftLimit: "overdraft_limit"
        case .capture: "capture"
        case .captureBefore: "capture_before"
        case .payment: "payment"
        case .final: "final"
        case .side: "side"
        }
    }

    var pointer: String { "/\(name)" }

    init?(named name: Span<UInt8>) {
        for raw in 0..<UInt8(Self.allCases.count) {
            // The raw values count from 0 without gaps.
            let member = Member(rawValue: raw)!
            if name.equals(member.name) {
                self = member
                return
            }
        }
        return nil
    }
}

struct Members: OptionSet {
    let rawValue: UInt32
    init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ member: Member) { rawValue = 1 << UInt32(member.rawValue) }

    static let type = Members(.type), key = Members(.key), id = Members(.id), account = Members(.account)
    static let debit = Members(.debit), credit = Members(.credit), amount = Members(.amount), currency = Members(.currency)
    static let reference = Members(.reference), metadata = Members(.metadata), expiresAt = Members(.expiresAt)
    static let kind = Members(.kind), overdraftLimit = Members(.overdraftLimit)
    static let capture = Members(.capture), captureBefore = Members(.captureBefore), payment = Members(.payment)
    static let final = Members(.final), side = Members(.side)
}

/// One object's members, checked one by one; what is wrong is collected and told together.
struct Form {
    let reader: JSONReader
    /// Whether it is an object at all, and not too large to be looked at.
    let isReadable: Bool
    /// At most `Problem.errorsMax`; more are counted only.
    private(set) var errors: [ValidationProblem] = []
    private(set) var errorsFound = 0
    private let allowed: Members
    private var present: Members = []
    /// By the member's raw value: the index of its value. Of no meaning for what is not in `present`.
    private var values = [24 of UInt8](repeating: 0)

    /// The root of what the reader has read. Members beyond `allowed`, and a member's second appearance, are errors.
    init(_ reader: JSONReader, allowed: Members) {
        self.reader = reader
        self.allowed = allowed
        isReadable = reader.kind(0) == .object && reader.count <= JSONReader.valuesMax
        if isReadable {
            index()
        } else if reader.kind(0) != .object {
            report(.wrongType, at: "", "an object is required")
        } else {
            report(.tooManyMembers, at: "", "more values than any valid body has")
        }
    }

    func has(_ member: Member) -> Bool { present.contains(Members(member)) }

    mutating func report(_ code: ValidationProblem.Code, at pointer: String, _ detail: String) {
        errorsFound += 1
        if errors.count < Problem.errorsMax { errors.append(ValidationProblem(code, at: pointer, detail)) }
    }

    /// The index of a member's value; nil when it is absent, which is reported if it is required.
    mutating func value(_ member: Member, required: Bool) -> Int? {
        if present.contains(Members(member)) { return Int(values[Int(member.rawValue)]) }
        if required { report(.required, at: member.pointer, "`\(member.name)` is required") }
        return nil
    }

    private mutating func index() {
        var at = 1
        while at < reader.count {
            if let member = Member(named: reader.name(at)), allowed.contains(Members(member)) {
                if present.contains(Members(member)) {
                    report(.duplicateMember, at: member.pointer, "`\(member.name)` appears more than once")
                }
                present.insert(Members(member))
                values[Int(member.rawValue)] = UInt8(at)
            } else {
                report(.unknownMember, at: Pointer.text(member: reader.name(at), of: ""), "no such member is known")
            }
            at = reader.end(of: at)
        }
    }
}

/// JSON pointers (RFC 6901).
enum Pointer {
    /// Names come from the client: a longer one is not repeated, and the object that has it is told in its place.
    static let nameBytesMax = 64

    static func text(member name: Span<UInt8>, of object: String) -> String {
        guard name.count <= nameBytesMax else { return object }
        var bytes: [UInt8] = Array(object.utf8)
        bytes.append(UInt8(ascii: "/"))
        for index in 0..<name.count {
            switch name[index] {
            case UInt8(ascii: "~"): bytes.append("~0")
            case UInt8(ascii: "/"): bytes.append("~1")
            case let byte: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
