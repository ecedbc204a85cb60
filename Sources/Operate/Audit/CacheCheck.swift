internal import Bytes
internal import Ledger
internal import Postgres
internal import Redis
internal import Store
internal import Wire

/// Redis shows nothing that PostgreSQL does not have.
///
/// A value is read from Redis first and its row from PostgreSQL after it: a change in between makes the row newer, which is
/// what it may be, and never the value.
struct CacheCheck {
    static let check = AuditReport.Check("cache", "Redis holds nothing newer than PostgreSQL, and at the same revision nothing else")
    private static let keysPerScan = "1000"
    private static let timeoutMilliseconds = 10_000

    let redis: RedisConfiguration
    let connection: PostgresConnection
    let scope: AuditScope

    func run(_ check: inout AuditReport.Check) throws(OperateError) {
        var configuration = redis
        configuration.commandTimeoutMilliseconds = Self.timeoutMilliseconds
        configuration.setUp = []
        let redis = try withRedis { () throws(RedisError) in try RedisConnection(configuration) }
        var older = 0
        let tenant = scope.tenant.map { "{\($0)}:*" } ?? "*"
        for prefix in ["a:", "p:"] {
            try scan(redis, matching: prefix + tenant) { (values: [CachedValue]) throws(OperateError) in
                check.looked += values.count
                try prefix == "a:" ? compareAccounts(values, &older, &check) : comparePayments(values, &older, &check)
            }
        }
        if older > 0 { check.notes.append("\(older) values are older than PostgreSQL's, which they may be for a moment") }
    }

    /// A key of ours and the value under it.
    struct CachedValue {
        let key: String
        let tenant: TenantID
        /// What stands behind the tenant.
        let name: String
        let bytes: [UInt8]
    }

    private func scan(
        _ redis: RedisConnection, matching pattern: String, _ body: ([CachedValue]) throws(OperateError) -> Void
    ) throws(OperateError) {
        var cursor = "0"
        repeat {
            let answer = try withRedis { () throws(RedisError) in
                try redis.command(["SCAN", cursor, "MATCH", pattern, "COUNT", Self.keysPerScan])
            }
            guard case .array(let parts) = answer, parts.count == 2, let next = parts[0].text, case .array(let keys) = parts[1] else {
                throw .refused("Redis answered SCAN with \(answer)")
            }
            cursor = next
            let names = keys.compactMap(\.text)
            guard !names.isEmpty else { continue }
            let values = try withRedis { () throws(RedisError) in try redis.command(["MGET"] + names) }
            guard case .array(let bodies) = values, bodies.count == names.count else {
                throw .refused("Redis answered MGET with \(values)")
            }
            try body(zip(names, bodies).compactMap { Self.value($0, $1) })
        } while cursor != "0"
    }

    /// Nil for a key that expired in between, or is not of the form `a:{7}:alice`.
    private static func value(_ key: String, _ reply: OwnedReply) -> CachedValue? {
        guard case .string(let bytes) = reply, let open = key.firstIndex(of: "{"), let close = key.firstIndex(of: "}"), open < close,
            let tenant = Int64(key[key.index(after: open)..<close]), key[close...].hasPrefix("}:")
        else { return nil }
        return CachedValue(key: key, tenant: TenantID(tenant), name: String(key[close...].dropFirst(2)), bytes: bytes)
    }

    private func compareAccounts(_ values: [CachedValue], _ older: inout Int, _ check: inout AuditReport.Check) throws(OperateError) {
        let keyed = values.compactMap { value in AccountID(value.name).map { (value, AccountKey(tenant: value.tenant, account: $0)) } }
        let query = LearnQueries.accounts(keyed.map(\.1))
        let rows = try withPostgres { () throws(PostgresError) in try connection.query(query.statement.sql, query.parameters) }
        var current: [AccountKey: (revision: Int64, body: [UInt8])] = [:]
        for row in 0..<rows.count where Self.isReadableAccount(rows, row) {
            let account = AccountColumns.account(rows, row)
            var body: [UInt8] = []
            body.append(account)
            current[account.key] = (account.revision, body)
        }
        for (value, key) in keyed { judge(value, current[key], &older, &check) }
    }

    private func comparePayments(_ values: [CachedValue], _ older: inout Int, _ check: inout AuditReport.Check) throws(OperateError) {
        let keyed = values.compactMap { value in
            let digits: [UInt8] = Array(value.name.utf8)
            return OperationID(hex: digits.span).map { (value, $0) }
        }
        let query = LearnQueries.payments(keyed.map(\.1))
        let rows = try withPostgres { () throws(PostgresError) in try connection.query(query.statement.sql, query.parameters) }
        var current: [OperationID: (tenant: TenantID, revision: Int64, body: [UInt8])] = [:]
        for row in 0..<rows.count where Self.isReadablePayment(rows, row) {
            let payment = PaymentColumns.payment(rows, row)
            var body: [UInt8] = []
            body.append(payment)
            current[payment.id] = (payment.tenant, payment.revision, body)
        }
        for (value, id) in keyed {
            // Another tenant's payment must not be shown under this tenant's key.
            let payment = current[id].flatMap { $0.tenant == value.tenant ? (revision: $0.revision, body: $0.body) : nil }
            judge(value, payment, &older, &check)
        }
    }

    private func judge(
        _ value: CachedValue, _ current: (revision: Int64, body: [UInt8])?, _ older: inout Int, _ check: inout AuditReport.Check
    ) {
        guard let cached = CacheValue(value.bytes.span) else { return check.find(value.key, "is no value of ours") }
        guard let current else {
            if cached.kind != .tombstone { check.find(value.key, "is in Redis at revision \(cached.revision), and PostgreSQL has none") }
            return
        }
        if cached.revision > current.revision {
            check.find(value.key, "is in Redis at revision \(cached.revision), and PostgreSQL has \(current.revision)")
        } else if cached.revision < current.revision {
            older += 1
        } else if cached.kind == .body {
            var body: [UInt8] = []
            body.append(cached.body)
            if body != current.body { check.find(value.key, "differs from PostgreSQL at revision \(current.revision)") }
        }
    }

    // What the ledger never wrote would stop the readers; other checks name such rows.

    private static func isReadableAccount(_ rows: Rows, _ row: Int) -> Bool {
        AccountID(rows.bytes(row, 1)) != nil && Currency(rows.bytes(row, 3)) != nil
            && UInt8(exactly: rows.int16(row, 4)).flatMap(AccountKind.init(rawValue:)) != nil
    }

    private static func isReadablePayment(_ rows: Rows, _ row: Int) -> Bool {
        AccountID(rows.bytes(row, 2)) != nil && AccountID(rows.bytes(row, 3)) != nil && Currency(rows.bytes(row, 5)) != nil
            && UInt8(exactly: rows.int16(row, 9)).flatMap(PaymentStatus.init(rawValue:)) != nil
            && (rows.isNull(row, 10) || UInt8(exactly: rows.int16(row, 10)).flatMap(DeclineReason.init(rawValue:)) != nil)
    }
}
