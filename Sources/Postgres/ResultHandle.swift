internal import CLibpq
internal import CPostgres

/// Owns one `PGresult`. libpq never changes a result once it has been handed out.
@safe
final class ResultHandle {
    let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }

    deinit { unsafe PQclear(pointer) }

    enum Status { case rows, done, failed, aborted, synchronised, unexpected }

    var status: Status {
        switch unsafe PQresultStatus(pointer) {
        case PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE: .rows
        case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: .done
        case PGRES_FATAL_ERROR: .failed
        case PGRES_PIPELINE_ABORTED: .aborted
        case PGRES_PIPELINE_SYNC: .synchronised
        default: .unexpected
        }
    }

    /// The server's report. A failure without an SQLSTATE is libpq's own, which means that the connection is gone.
    var error: PostgresError {
        guard status == .failed else {
            return .unexpectedAnswer(message: unsafe "a result of status " + String(cString: PQresStatus(PQresultStatus(pointer))))
        }
        guard let state = field(SLUICE_POSTGRES_SQLSTATE) else { return .lost(afterSending: true) }
        return .serverError(
            sqlState: SQLState(state), message: field(SLUICE_POSTGRES_MESSAGE) ?? "", detail: field(SLUICE_POSTGRES_DETAIL))
    }

    func field(_ field: sluice_postgres_field) -> String? {
        unsafe sluice_postgres_result_field(pointer, field).map { unsafe String(cString: $0) }
    }
}
