public import Bytes
public import Ledger

/// Derives the names of operations (docs/architecture.md, "Identity"). Any gateway derives the same, for ever.
///
/// One thread's; allocates nothing.
public final class Identity {
    private let hasher = SHA256()

    public init() {}

    /// The id of the operation that a tenant asks for under an idempotency key.
    public func operation(tenant: TenantID, key: Span<UInt8>) -> OperationID {
        let (high, low) = hasher.hash { message in
            message.add(lengthPrefixed: "sluice.operation.1")
            message.add(UInt64(bitPattern: tenant.rawValue))
            message.add(lengthPrefixed: key)
        }.leadingWords
        return OperationID(high: high, low: low)
    }

    /// The id of the command that ends a payment's hold when its time is up: the same whoever puts it into the log, and one that no
    /// idempotency key has.
    public func expiry(of payment: OperationID, tenant: TenantID) -> OperationID {
        let (high, low) = hasher.hash { message in
            message.add(lengthPrefixed: "sluice.expiry.1")
            message.add(UInt64(bitPattern: tenant.rawValue))
            message.add(payment.high)
            message.add(payment.low)
        }.leadingWords
        return OperationID(high: high, low: low)
    }

    /// What tells a repeated request from another one under the same key.
    ///
    /// - Parameters:
    ///   - path: the request's path, without a query.
    ///   - canonical: the command's canonical JSON.
    public func fingerprint(method: String, path: String, canonical: Span<UInt8>) -> Fingerprint {
        let (high, low) = hasher.hash { message in
            message.add(lengthPrefixed: "sluice.fingerprint.1")
            message.add(lengthPrefixed: method)
            message.add(lengthPrefixed: path)
            message.add(lengthPrefixed: canonical)
        }.leadingWords
        return Fingerprint(high: high, low: low)
    }

    /// What is stored of an API key: a digest of the whole key. The key has 256 random bits, so it needs neither salt nor stretching.
    public func digest(ofKey key: Span<UInt8>) -> Digest256 { hasher.hash(of: key) }
}

/// The syntax of an `Idempotency-Key`.
public enum IdempotencyKey {
    /// 8 to 255 visible ASCII characters, without quotes around them: the key is what the header field has, as it is.
    public static func isValid(_ key: Span<UInt8>) -> Bool {
        guard Limits.idempotencyKeyBytes.contains(key.count) else { return false }
        for index in 0..<key.count where !isVisible(key[index]) { return false }
        return true
    }
}
