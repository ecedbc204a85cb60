internal import Bytes
internal import Postgres
internal import Store

/// A step that the database says it has.
struct AppliedMigration: Equatable {
    let number: Int
    let name: String
    /// SHA-256 of the step's text, 64 hexadecimal digits.
    let digest: String
}

/// What is left to apply. Pure.
enum MigrationPlan {
    /// - Parameters:
    ///   - applied: what the database has, by number.
    ///   - known: the steps of this build, by number.
    /// - Returns: the steps that are left, in order; throws when what the database has is not what this build knows.
    static func remaining(applied: [AppliedMigration], known: [Migration]) throws(OperateError) -> [Migration] {
        for (index, step) in applied.enumerated() {
            guard index < known.count else {
                throw .refused(
                    "the database is newer than this build: it has migration \(step.number) (\(step.name)), which this build does not know; "
                        + "use the build that applied it, or a later one")
            }
            guard known[index].number == step.number, digest(of: known[index]) == step.digest else {
                throw .refused(
                    "migration \(step.number) (\(step.name)) was applied with another text than this build's: an applied migration is never "
                        + "edited, a change is a migration of its own")
            }
        }
        return Array(known.dropFirst(applied.count))
    }

    static func digest(of migration: Migration) -> String {
        let text: [UInt8] = Array(migration.sql.utf8)
        var digest: [UInt8] = []
        SHA256().hash(of: text.span).append(to: &digest)
        return Hex.text(digest.span)
    }
}

/// Brings a database's schema to that of this build.
struct SchemaMigrator {
    /// How long another migration is waited for.
    static let lockTimeoutSeconds = 60
    /// Names the advisory lock: "sluice" and "migrate" in ASCII, shortened to 32 bits each.
    private static let lock = "1936487785, 1835626337"

    let connection: PostgresConnection
    var known = Migration.all

    /// Applies what is left, each step in a transaction of its own with the row that says so, while no other migration runs.
    ///
    /// - Returns: the steps that were applied now.
    func run() throws(OperateError) -> [Migration] {
        try takeLock()
        defer { _ = try? connection.query("SELECT pg_advisory_unlock(\(Self.lock))") }
        let remaining = try MigrationPlan.remaining(applied: try applied(), known: known)
        for migration in remaining {
            do {
                try connection.transaction { () throws(PostgresError) in
                    try connection.run(migration.sql)
                    // The first step makes the schema, so the table of steps can only follow it.
                    try connection.run(Self.createTable)
                    _ = try connection.query(
                        "INSERT INTO sluice.schema_migration (number, name, sha256) VALUES ($1, $2, $3)", parameters(migration))
                }
            } catch {
                throw .refused("migration \(migration.number) (\(migration.name)) was not applied: \(error)")
            }
        }
        return remaining
    }

    private func takeLock() throws(OperateError) {
        do throws(PostgresError) {
            try connection.run("SET lock_timeout = '\(Self.lockTimeoutSeconds)s'")
            _ = try connection.query("SELECT pg_advisory_lock(\(Self.lock))")
        } catch {
            guard case .serverError(sqlState: "55P03", _, _) = error else { throw .postgres(error) }
            throw .refused("another migration has been running for \(Self.lockTimeoutSeconds) s: wait for it, then run this again")
        }
    }

    /// By number.
    func applied() throws(OperateError) -> [AppliedMigration] {
        let found = try withPostgres { () throws(PostgresError) in
            try connection.query("SELECT to_regnamespace('sluice') IS NOT NULL, to_regclass('sluice.schema_migration') IS NOT NULL")
        }
        guard found.bool(0, 1) else {
            if found.bool(0, 0) {
                throw .refused("the database has a schema `sluice` that was not made by `sluice migrate`: drop it, or use another database")
            }
            return []
        }
        let rows = try withPostgres { () throws(PostgresError) in
            try connection.query("SELECT number, name, sha256 FROM sluice.schema_migration ORDER BY number")
        }
        return (0..<rows.count).map {
            AppliedMigration(number: Int(rows.int32($0, 0)), name: rows.text($0, 1), digest: rows.text($0, 2))
        }
    }

    private func parameters(_ migration: Migration) -> Parameters {
        var parameters = Parameters()
        parameters.append(int32: Int32(migration.number))
        parameters.append(text: migration.name)
        parameters.append(text: MigrationPlan.digest(of: migration))
        return parameters
    }

    private static let createTable = """
        CREATE TABLE IF NOT EXISTS sluice.schema_migration (
            number     integer PRIMARY KEY,
            name       text NOT NULL,
            sha256     text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
            applied_at timestamptz NOT NULL DEFAULT now())
        """
}
