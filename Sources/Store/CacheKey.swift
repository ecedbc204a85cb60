internal import Bytes
public import Ledger

/// The names under which gateway and worker find each other's values in Redis.
///
/// The tenant's number stands in braces: on a cluster all of a tenant's keys share a slot, so that one request's
/// keys can be read together.
public enum CacheKey {
    /// `a:{TENANT}:ACCOUNT`, an account's body.
    public static func appendAccount(_ account: Span<UInt8>, of tenant: TenantID, to key: inout [UInt8]) {
        appendPrefix("a:{", tenant, to: &key)
        key.append(account)
    }

    public static func appendAccount(_ account: AccountID, of tenant: TenantID, to key: inout [UInt8]) {
        appendPrefix("a:{", tenant, to: &key)
        key.append(text: account.text)
    }

    /// `p:{TENANT}:ID`, a payment's body.
    public static func appendPayment(_ id: OperationID, of tenant: TenantID, to key: inout [UInt8]) {
        appendPrefix("p:{", tenant, to: &key)
        key.append(hex: id.high)
        key.append(hex: id.low)
    }

    /// `m:{TENANT}:ID`, the marker of a payment that was seen at the door.
    public static func appendMarker(_ id: OperationID, of tenant: TenantID, to key: inout [UInt8]) {
        appendPrefix("m:{", tenant, to: &key)
        key.append(hex: id.high)
        key.append(hex: id.low)
    }

    /// `h:{TENANT}:ACCOUNT:REVISION:LIMIT:BEFORE`, a page of transactions; immutable, because the revision is in its name.
    public static func appendPage(
        of account: Span<UInt8>, of tenant: TenantID, revision: Int64, limit: Int, before sequence: Int64, to key: inout [UInt8]
    ) {
        appendPrefix("h:{", tenant, to: &key)
        key.append(account)
        for part in [revision, Int64(limit), sequence] {
            key.append(UInt8(ascii: ":"))
            key.append(decimal: part)
        }
    }

    /// `l:PARTITION`, the lease of a partition: while it is good, what Redis holds of the partition's accounts is what was committed.
    public static func appendLease(ofPartition partition: Int32, to key: inout [UInt8]) {
        key.append("l:")
        key.append(decimal: Int64(partition))
    }

    private static func appendPrefix(_ prefix: StaticString, _ tenant: TenantID, to key: inout [UInt8]) {
        key.append(prefix)
        key.append(decimal: tenant.rawValue)
        key.append("}:")
    }
}
