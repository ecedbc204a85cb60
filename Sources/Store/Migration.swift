/// One step of the schema, as `infra/postgres` has it.
public struct Migration: Sendable {
    /// Steps are applied in this order, each once.
    public let number: Int
    public let name: String
    public let sql: String

    public init(number: Int, name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
    }

    public static let all: [Migration] = [
        Migration(number: 1, name: "ledger", sql: String(decoding: PackageResources._01_ledger_sql, as: UTF8.self)),
        Migration(number: 2, name: "log-adoption", sql: String(decoding: PackageResources._02_log_adoption_sql, as: UTF8.self)),
        Migration(number: 3, name: "life-cycle", sql: String(decoding: PackageResources._03_life_cycle_sql, as: UTF8.self)),
        Migration(
            number: 4, name: "dead-letter-replay", sql: String(decoding: PackageResources._04_dead_letter_replay_sql, as: UTF8.self)),
        Migration(number: 5, name: "events", sql: String(decoding: PackageResources._05_events_sql, as: UTF8.self)),
        Migration(number: 6, name: "key-scopes", sql: String(decoding: PackageResources._06_key_scopes_sql, as: UTF8.self)),
        Migration(number: 7, name: "batches", sql: String(decoding: PackageResources._07_batches_sql, as: UTF8.self)),
        Migration(number: 8, name: "trace", sql: String(decoding: PackageResources._08_trace_sql, as: UTF8.self)),
        Migration(number: 9, name: "line", sql: String(decoding: PackageResources._09_line_sql, as: UTF8.self)),
    ]
}
