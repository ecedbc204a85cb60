internal import Glibc
public import Kafka
internal import Postgres
internal import Store
internal import Telemetry

/// Waits until everything that is in the log is decided, and Redis has had time to learn of it.
///
/// The ledger does not say when the last batch was published: a worker stores that with its next one.
public struct Drain: Sendable {
    private static let pollMicroseconds: UInt32 = 50_000
    /// After the last decision. A worker publishes within milliseconds of its commit; one whose Redis is away keeps what it
    /// owes, and nothing that is older in Redis is an error then.
    private static let publishingMicroseconds: UInt32 = 500_000

    /// What the wait came to.
    public struct Result: Sendable, Equatable {
        public let seconds: Double
        /// Commands that are still not decided; 0 when all are.
        public let remaining: Int64
    }

    /// Blocks its thread. What is produced after the call is not waited for.
    ///
    /// - Parameter waitSeconds: at most so long.
    public static func run(_ auditor: Auditor, kafka: KafkaConfiguration, waitSeconds: Double) throws(OperateError) -> Result {
        let start = Clock.monotonicMilliseconds
        let connection = try withPostgres { () throws(PostgresError) in
            try PostgresConnection(auditor.database.connectionString, applicationName: auditor.database.applicationName)
        }
        var ends: [Int32: Int64] = [:]
        for row in try withPostgres({ () throws(PostgresError) in try OffsetRows.read(connection) }) {
            ends[row.partition] = try withKafka { () throws(KafkaError) in
                try KafkaAdmin.watermarks(kafka, topic: Topic.commands, partition: row.partition).high
            }
        }
        while true {
            let rows = try withPostgres { () throws(PostgresError) in try OffsetRows.read(connection) }
            let remaining = rows.reduce(Int64(0)) { $0 + max(0, (ends[$1.partition] ?? 0) - $1.nextOffset) }
            let seconds = Double(Clock.monotonicMilliseconds - start) / 1_000
            if remaining == 0 { usleep(publishingMicroseconds) }
            if remaining == 0 || seconds >= waitSeconds { return Result(seconds: seconds, remaining: remaining) }
            usleep(pollMicroseconds)
        }
    }
}
