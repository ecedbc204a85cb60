public import Kafka
public import Postgres
public import Redis

/// Why a command could not do its work.
public enum OperateError: Error, CustomStringConvertible {
    case postgres(PostgresError)
    case kafka(KafkaError)
    case redis(RedisError)
    /// A file could not be read or written: its path and what the system said.
    case file(path: String, reason: String)
    /// The state of things does not allow it; a sentence that says what to do.
    case refused(String)

    /// The same may succeed a little later with nothing changed.
    public var isRetriable: Bool {
        switch self {
        case .postgres(let error): error.recovery == .retry
        case .kafka(let error): error.isRetriable
        case .redis(let error): error.recovery != .changeSetUp
        case .file, .refused: false
        }
    }

    public var description: String {
        switch self {
        case .postgres(let error): "PostgreSQL: \(error)"
        case .kafka(let error): "Kafka: \(error)"
        case .redis(let error): "Redis: \(error)"
        case .file(let path, let reason): "\(path): \(reason)"
        case .refused(let sentence): sentence
        }
    }
}

/// Runs what may fail in PostgreSQL.
func withPostgres<Result>(_ body: () throws(PostgresError) -> Result) throws(OperateError) -> Result {
    do { return try body() } catch { throw .postgres(error) }
}

/// Runs what may fail in Kafka.
func withKafka<Result>(_ body: () throws(KafkaError) -> Result) throws(OperateError) -> Result {
    do { return try body() } catch { throw .kafka(error) }
}

/// Runs what may fail in Redis.
func withRedis<Result>(_ body: () throws(RedisError) -> Result) throws(OperateError) -> Result {
    do { return try body() } catch { throw .redis(error) }
}
