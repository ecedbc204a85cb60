public import Bytes
public import Ledger
public import Postgres

/// What a gateway knows of an API key.
public struct Credential: Sendable {
    /// The key's public part: 16 hexadecimal digits.
    public let publicID: String
    /// SHA-256 of the whole key.
    public let digest: Digest256
    public let tenant: TenantID
    /// The partition of the tenant's commands.
    public let partition: Int32
    public let scopes: KeyScopes
    /// From when on it is not valid; nil for never.
    public let expiresAt: Timestamp?

    public init(
        publicID: String, digest: Digest256, tenant: TenantID, partition: Int32, scopes: KeyScopes = .all, expiresAt: Timestamp? = nil
    ) {
        self.publicID = publicID
        self.digest = digest
        self.tenant = tenant
        self.partition = partition
        self.scopes = scopes
        self.expiresAt = expiresAt
    }
}

/// The keys that are valid now.
public enum CredentialQueries {
    /// How many keys a gateway holds at most; the table is read whole, again and again.
    public static let credentialsMax = 100_000

    /// All valid keys, and when the last change to any key was made. A replica that lags answers with an earlier time,
    /// and must not take back a key that was made, or bring back one that was revoked.
    public static let all = Query(
        Statement(
            "read_credentials",
            """
            SELECT newest.changed_at, k.public_id, k.digest, t.id, t.partition, k.scopes, k.expires_at
            FROM (SELECT coalesce(max(greatest(created_at, revoked_at)), 'epoch') AS changed_at FROM sluice.api_key) newest
            LEFT JOIN sluice.api_key k
                ON k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
            LEFT JOIN sluice.tenant t ON t.id = k.tenant_id
            ORDER BY k.public_id LIMIT \(credentialsMax)
            """))

    /// When the keys last changed, as the server that answered knows it.
    public static func changedAt(_ rows: Rows) -> Timestamp { Timestamp(microseconds: rows.timestamp(0, 0)) }

    public static func credentials(_ rows: Rows) -> [Credential] {
        (0..<rows.count).compactMap { row in
            guard !rows.isNull(row, 1) else { return nil }
            guard let digest = Digest256(rows.bytes(row, 2)) else { preconditionFailure("a key's digest is not 32 bytes") }
            return Credential(
                publicID: rows.text(row, 1), digest: digest, tenant: TenantID(rows.int64(row, 3)), partition: rows.int32(row, 4),
                scopes: KeyScopes(rawValue: rows.int16(row, 5)),
                expiresAt: rows.isNull(row, 6) ? nil : Timestamp(microseconds: rows.timestamp(row, 6)))
        }
    }
}
