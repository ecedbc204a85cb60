internal import CLibpq

/// A blocking connection for command-line tools and tests. Used on one thread; never on a loop's.
@safe
public final class PostgresConnection {
    private let pointer: OpaquePointer
    private var scratch = ParameterPointers()
    private var streams = 0

    /// Connects, waiting at most 10 seconds a host unless the string's `connect_timeout` says otherwise.
    ///
    /// - Parameter connectionString: as `PostgresConfiguration.connectionString`.
    public init(_ connectionString: String, applicationName: String = "sluice") throws(PostgresError) {
        var defaults = PostgresConfiguration(connectionString: connectionString).connectDefaults
        defaults.removeAll { $0.keyword == "application_name" || $0.keyword == "tcp_user_timeout" }
        defaults += [("application_name", applicationName), ("connect_timeout", "10")]
        let options = try ConnectionTarget(connectionString).options(rotation: 0, defaults: defaults)
        unsafe pointer = ConnectionHandle.withOptions(options) { unsafe PQconnectdbParams($0, $1, 0) }
        // From here `deinit` runs also when this throws.
        guard unsafe PQstatus(pointer) == CONNECTION_OK else {
            throw .connectFailed(message: unsafe trimmed(String(cString: PQerrorMessage(pointer))))
        }
        unsafe ConnectionHandle.logNotices(of: pointer)
    }

    deinit { unsafe PQfinish(pointer) }

    /// The server process that serves this connection, as in `pg_stat_activity.pid`.
    public var serverProcess: Int32 { unsafe PQbackendPID(pointer) }

    /// Whether a transaction is open, also a failed one.
    public var isInTransaction: Bool {
        let status = unsafe PQtransactionStatus(pointer)
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
    }

    /// Runs a script of any number of commands, separated by semicolons, as one implicit transaction unless it says
    /// otherwise. Stops at the first error.
    public func run(_ script: String) throws(PostgresError) {
        _ = try unsafe take(PQexec(pointer, script))
    }

    /// Runs one command; the parameters' types are those they were appended as.
    public func query(_ sql: String, _ parameters: Parameters = Parameters()) throws(PostgresError) -> Rows {
        let types = parameters.values.map(\.type.identifier)
        let result = unsafe scratch.withPointers(to: parameters) { count, values, lengths, formats in
            unsafe PQexecParams(pointer, sql, count, types, values, lengths, formats, 1)
        }
        return try unsafe take(result)
    }

    /// Runs the body in a transaction and commits; rolls back when the body throws.
    ///
    /// `.lost(afterSending: true)` from the commit itself means that it may have happened.
    public func transaction<Result>(
        _ begin: String = "BEGIN", _ body: () throws(PostgresError) -> Result
    ) throws(PostgresError) -> Result {
        precondition(!isInTransaction, "a transaction within a transaction")
        try run(begin)
        do throws(PostgresError) {
            let result = try body()
            // COMMIT of a failed transaction is a rollback that reports success.
            guard unsafe PQtransactionStatus(pointer) != PQTRANS_INERROR else {
                throw .unexpectedAnswer(message: "the transaction had failed before its commit")
            }
            try run("COMMIT")
            return result
        } catch {
            if isInTransaction { try? run("ROLLBACK") }
            throw error
        }
    }

    /// Reads a result of any size in bounded memory: a cursor, fetched `rowsPerFetch` rows at a time, in one snapshot.
    ///
    /// Runs in the open transaction, or in a read-only one of its own. A body that throws ends it.
    public func stream(
        _ sql: String, _ parameters: Parameters = Parameters(), rowsPerFetch: Int = 2_048,
        _ body: (Row) throws(PostgresError) -> Void
    ) throws(PostgresError) {
        guard isInTransaction else {
            return try transaction("BEGIN READ ONLY") { () throws(PostgresError) in
                try stream(sql, parameters, rowsPerFetch: rowsPerFetch, body)
            }
        }
        streams += 1
        let cursor = "sluice_stream_\(streams)"
        // All rows will be read: the planner's preference for a fast first tenth would make that slower.
        try run("SET LOCAL cursor_tuple_fraction = 1")
        _ = try query("DECLARE \(cursor) NO SCROLL CURSOR FOR \(sql)", parameters)
        defer { if unsafe PQtransactionStatus(pointer) == PQTRANS_INTRANS { try? run("CLOSE \(cursor)") } }
        while true {
            let rows = try query("FETCH FORWARD \(rowsPerFetch) FROM \(cursor)")
            for index in 0..<rows.count { try body(Row(rows: rows, index: index)) }
            if rows.count < rowsPerFetch { return }
        }
    }

    private func take(_ result: OpaquePointer?) throws(PostgresError) -> Rows {
        guard let result = unsafe result else { throw .lost(afterSending: true) }
        let handle = unsafe ResultHandle(result)
        switch handle.status {
        case .rows, .done: return Rows(handle)
        case .failed, .aborted, .synchronised, .unexpected: throw handle.error
        }
    }
}

/// One row of a stream. Columns count from 0; the same traps as in `Rows`. Valid as long as it is held.
public struct Row {
    let rows: Rows
    let index: Int

    public func isNull(_ column: Int) -> Bool { rows.isNull(index, column) }
    public func int64(_ column: Int) -> Int64 { rows.int64(index, column) }
    public func int32(_ column: Int) -> Int32 { rows.int32(index, column) }
    public func int16(_ column: Int) -> Int16 { rows.int16(index, column) }
    public func bool(_ column: Int) -> Bool { rows.bool(index, column) }
    /// Microseconds since 1970.
    public func timestamp(_ column: Int) -> Int64 { rows.timestamp(index, column) }
    public func uuid(_ column: Int) -> (UInt64, UInt64) { rows.uuid(index, column) }
    public func text(_ column: Int) -> String { rows.text(index, column) }

    /// The bytes of a `bytea` or of a text, borrowed from this row.
    @_lifetime(borrow self)
    public func bytes(_ column: Int) -> Span<UInt8> { rows.bytes(index, column) }
}
