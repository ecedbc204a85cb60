internal import Bytes
public import Postgres
public import Store
internal import Wire

/// API keys. A key's text is known to whoever created it; stored are its public id and its digest. Blocks its thread.
public struct Keys {
    let connection: PostgresConnection

    public struct Key: Equatable, Sendable {
        /// 16 hexadecimal digits: what a key is called.
        public let publicID: String
        public let tenant: String
        public let label: String
        public let scopes: KeyScopes
        /// Nil for a key that is valid until it is revoked.
        public let expiresAtMicroseconds: Int64?
        public let createdAtMicroseconds: Int64
        /// Nil for a key that was not revoked.
        public let revokedAtMicroseconds: Int64?
    }

    /// - Parameter connection: to the primary.
    public init(_ connection: PostgresConnection) { self.connection = connection }

    /// Makes a key. Returns its text, which cannot be had again.
    ///
    /// - Parameters:
    ///   - label: for people, at most 100 characters.
    ///   - seconds: how long it is valid from now on, at least one; nil until it is revoked.
    public func create(
        tenant name: String, label: String = "", scopes: KeyScopes = .all, validForSeconds seconds: Int64? = nil
    ) throws(OperateError) -> String {
        guard label.count <= 100 else { throw .refused("a label has at most 100 characters") }
        guard !scopes.isEmpty else { throw .refused("a key that permits nothing is of no use") }
        guard (seconds ?? 1) >= 1 else { throw .refused("a key is valid for a second at least") }
        let tenant = try Tenants(connection).require(name)
        let key = Self.make()
        try withPostgres { () throws(PostgresError) in
            try insert(key, of: tenant.number, label: label, scopes: scopes, validForSeconds: seconds)
        }
        return key.text
    }

    /// By tenant, oldest first.
    public func all() throws(OperateError) -> [Key] {
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query(
                """
                SELECT k.public_id, t.name, k.label, k.created_at, k.revoked_at, k.scopes, k.expires_at
                FROM sluice.api_key k JOIN sluice.tenant t ON t.id = k.tenant_id ORDER BY t.id, k.created_at, k.public_id
                """)
        }
        return (0..<rows.count).map {
            Key(
                publicID: rows.text($0, 0), tenant: rows.text($0, 1), label: rows.text($0, 2),
                scopes: KeyScopes(rawValue: rows.int16($0, 5)), expiresAtMicroseconds: rows.isNull($0, 6) ? nil : rows.timestamp($0, 6),
                createdAtMicroseconds: rows.timestamp($0, 3),
                revokedAtMicroseconds: rows.isNull($0, 4) ? nil : rows.timestamp($0, 4))
        }
    }

    /// Ends a key's validity; gateways notice when they next read the keys. Returns false when it was revoked before.
    public func revoke(_ publicID: String) throws(OperateError) -> Bool {
        var parameters = Parameters()
        parameters.append(text: publicID)
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query(
                """
                WITH revoked AS (
                    UPDATE sluice.api_key SET revoked_at = now() WHERE public_id = $1::text AND revoked_at IS NULL RETURNING 1)
                SELECT (SELECT count(*) FROM revoked), (SELECT count(*) FROM sluice.api_key WHERE public_id = $1::text)
                """, parameters)
        }
        guard rows.int64(0, 1) > 0 else { throw .refused("there is no key `\(publicID)`: `sluice keys list` shows them") }
        return rows.int64(0, 0) > 0
    }

    /// What a key's text is worth now.
    enum Standing: Equatable {
        /// No such key, or one that was revoked or has expired.
        case worthless
        case valid(tenant: String)
    }

    func standing(of text: String) throws(OperateError) -> Standing {
        let bytes: [UInt8] = Array(text.utf8)
        guard let publicID = APIKey.publicID(of: bytes.span) else { return .worthless }
        var parameters = Parameters()
        parameters.append(text: Self.name(publicID))
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query(
                """
                SELECT k.digest, t.name FROM sluice.api_key k JOIN sluice.tenant t ON t.id = k.tenant_id
                WHERE k.public_id = $1::text AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
                """, parameters)
        }
        guard rows.count == 1, Digest256(rows.bytes(0, 0)) == Identity().digest(ofKey: bytes.span) else { return .worthless }
        return .valid(tenant: rows.text(0, 1))
    }

    static func make() -> APIKey {
        var generator = SystemRandomNumberGenerator()
        return APIKey.make(using: &generator)
    }

    func insert(
        _ key: APIKey, of tenant: Int64, label: String, scopes: KeyScopes = .all, validForSeconds seconds: Int64? = nil
    ) throws(PostgresError) {
        let text: [UInt8] = Array(key.text.utf8)
        var digest: [UInt8] = []
        Identity().digest(ofKey: text.span).append(to: &digest)
        var parameters = Parameters()
        parameters.append(text: Self.name(key.publicID))
        parameters.append(int64: tenant)
        parameters.append(bytea: digest)
        parameters.append(text: label)
        parameters.append(int64: Int64(scopes.rawValue))
        // Beyond what a date can be is as good as for ever.
        parameters.append(int64: seconds.map { min($0, 100 * 366 * 86_400) } ?? -1)
        _ = try connection.query(
            """
            INSERT INTO sluice.api_key (public_id, tenant_id, digest, label, scopes, expires_at)
            VALUES ($1, $2, $3, $4, $5::bigint, CASE WHEN $6::bigint > 0 THEN now() + $6::bigint * interval '1 second' END)
            """, parameters)
    }

    private static func name(_ publicID: UInt64) -> String {
        var digits: [UInt8] = []
        digits.append(hex: publicID)
        return String(decoding: digits, as: UTF8.self)
    }
}
