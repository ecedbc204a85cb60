internal import Bytes
public import Ledger

/// Where the next page of a list begins.
public enum CursorPosition: Equatable, Sendable {
    /// In an account's history: the entries before this sequence number.
    case entriesBefore(sequence: Int64)
    /// Among payments ordered by time and id: the ones after this one.
    case paymentsAfter(time: Timestamp, id: OperationID)
    /// Among accounts ordered by id: the ones after this one.
    case accountsAfter(AccountID)
}

/// Positions as opaque text: base64url of a version, a kind, the position and a check sum.
///
/// The check sum covers the tenant and the list that the cursor was made for, so one that is damaged, made up or taken to another list
/// is refused. It is no secret: what a page may show is decided by the tenant of the request, never by its cursor.
public final class CursorCoder {
    private static let version: UInt8 = 1
    private static let checkBytes = 8
    /// A longer text is no cursor.
    public static let textBytesMax = 128

    private let hasher = SHA256()

    public init() {}

    /// - Parameter list: what the list is of: an account's id, a reference; empty for all of the tenant's.
    public func text(_ position: CursorPosition, tenant: TenantID, list: String) -> String {
        var bytes: [UInt8] = [Self.version]
        switch position {
        case .entriesBefore(let sequence):
            bytes.append(1)
            bytes.append(bigEndian: UInt64(bitPattern: sequence))
        case .paymentsAfter(let time, let id):
            bytes.append(2)
            bytes.append(bigEndian: UInt64(bitPattern: time.microseconds))
            bytes.append(bigEndian: id.high)
            bytes.append(bigEndian: id.low)
        case .accountsAfter(let account):
            bytes.append(3)
            bytes.append(text: account.text)
        }
        bytes.append(bigEndian: check(bytes.span, tenant, list))
        return Base64URL.text(bytes.span)
    }

    /// Nil for what `text` did not make for this tenant and list: 400 `invalid_parameter`.
    public func position(_ text: Span<UInt8>, tenant: TenantID, list: String) -> CursorPosition? {
        guard text.count <= Self.textBytesMax, let bytes = Base64URL.bytes(text), bytes.count >= 3 + Self.checkBytes,
            bytes[0] == Self.version
        else { return nil }
        let covered = bytes.span.extracting(0..<bytes.count - Self.checkBytes)
        guard word(bytes.span, at: covered.count) == check(covered, tenant, list) else { return nil }
        switch (bytes[1], covered.count) {
        case (1, 10):
            let sequence = Int64(bitPattern: word(bytes.span, at: 2))
            return sequence >= 1 ? .entriesBefore(sequence: sequence) : nil
        case (2, 26):
            let time = Timestamp(microseconds: Int64(bitPattern: word(bytes.span, at: 2)))
            // The check sum is no secret, so this may be made up: a time that no payment has would not fit a query's parameter.
            guard (Timestamp.earliest...Timestamp.latest).contains(time) else { return nil }
            return .paymentsAfter(time: time, id: OperationID(high: word(bytes.span, at: 10), low: word(bytes.span, at: 18)))
        case (3, _): return AccountID(covered.extracting(2..<covered.count)).map { .accountsAfter($0) }
        default: return nil
        }
    }

    private func check(_ bytes: Span<UInt8>, _ tenant: TenantID, _ list: String) -> UInt64 {
        hasher.hash { message in
            message.add(lengthPrefixed: "sluice.cursor.1")
            message.add(UInt64(bitPattern: tenant.rawValue))
            message.add(lengthPrefixed: list)
            message.add(lengthPrefixed: bytes)
        }.leadingWords.high
    }

    private func word(_ bytes: Span<UInt8>, at start: Int) -> UInt64 {
        var result: UInt64 = 0
        for index in start..<start + 8 { result = result << 8 | UInt64(bytes[index]) }
        return result
    }
}
