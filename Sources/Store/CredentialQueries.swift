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

    public init(publicID: String, digest: Digest256, tenant: TenantID, partition: Int32) {
        self.publicID = publicID
        self.digest = digest
        self.tenant = tenant
        self.partition = partition
    }
}

/// The keys that are valid now.
public enum CredentialQueries {
    /// How many keys a gateway holds at most; the table is read whole, again and again.
    public static let credentialsMax = 100_000

    public static let all = Query(
        Statement(
            "read_credentials",
            """
            SELECT k.public_id, k.digest, t.id, t.partition FROM sluice.api_key k JOIN sluice.tenant t ON t.id = k.tenant_id
            WHERE k.revoked_at IS NULL ORDER BY k.public_id LIMIT \(credentialsMax)
            """))

    public static func credentials(_ rows: Rows) -> [Credential] {
        (0..<rows.count).map { row in
            guard let digest = Digest256(rows.bytes(row, 1)) else { preconditionFailure("a key's digest is not 32 bytes") }
            return Credential(
                publicID: rows.text(row, 0), digest: digest, tenant: TenantID(rows.int64(row, 2)), partition: rows.int32(row, 3))
        }
    }
}
