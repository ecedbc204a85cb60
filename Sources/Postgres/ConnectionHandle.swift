internal import CLibpq
internal import CPostgres
internal import Glibc
internal import Telemetry

/// Owns one `PGconn` in non-blocking pipeline mode: each libpq call that a session makes, once, as Swift.
@safe
final class ConnectionHandle {
    let pointer: OpaquePointer
    private var scratch = ParameterPointers()

    /// Begins to connect. libpq may already have failed: then `isBroken`.
    init(options: [(keyword: String, value: String)]) {
        unsafe pointer = Self.withOptions(options) { unsafe PQconnectStartParams($0, $1, 0) }
        unsafe Self.logNotices(of: pointer)
    }

    /// Lends the options as libpq's two arrays, to open a connection with.
    static func withOptions(
        _ options: [(keyword: String, value: String)],
        _ open: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafePointer<CChar>?>) -> OpaquePointer?
    ) -> OpaquePointer {
        let keywords = unsafe options.map { unsafe UnsafePointer(strdup($0.keyword)) } + [nil]
        let values = unsafe options.map { unsafe UnsafePointer(strdup($0.value)) } + [nil]
        defer {
            for index in options.indices {
                unsafe free(UnsafeMutablePointer(mutating: keywords[index]))
                unsafe free(UnsafeMutablePointer(mutating: values[index]))
            }
        }
        guard let pointer = unsafe open(keywords, values) else { preconditionFailure("out of memory") }
        return unsafe pointer
    }

    /// Sends NOTICE and WARNING to the log's debug level, in place of libpq's print on standard error.
    static func logNotices(of pointer: OpaquePointer) { unsafe _ = PQsetNoticeReceiver(pointer, noticeReceived, nil) }

    deinit { unsafe PQfinish(pointer) }

    enum ConnectProgress { case wantsRead, wantsWrite, connected, failed }

    /// libpq may close the socket and open another: whoever watches it stops before this call and begins anew after it.
    func continueConnecting() -> ConnectProgress {
        switch unsafe PQconnectPoll(pointer) {
        case PGRES_POLLING_READING: .wantsRead
        case PGRES_POLLING_WRITING: .wantsWrite
        case PGRES_POLLING_OK: .connected
        default: .failed
        }
    }

    /// -1 when there is none.
    var socket: CInt { unsafe PQsocket(pointer) }
    var isBroken: Bool { unsafe PQstatus(pointer) == CONNECTION_BAD }
    var message: String { unsafe trimmed(String(cString: PQerrorMessage(pointer))) }
    var serverProcess: CInt { unsafe PQbackendPID(pointer) }
    /// What the server last reported of itself: true on a standby.
    var isStandby: Bool {
        unsafe PQparameterStatus(pointer, "in_hot_standby").map { unsafe String(cString: $0) == "on" } ?? false
    }

    func enterPipeline() -> Bool { unsafe PQsetnonblocking(pointer, 1) == 0 && PQenterPipelineMode(pointer) == 1 }

    /// Queues an unprepared command without parameters.
    func send(command: String) -> Bool { unsafe PQsendQueryParams(pointer, command, 0, nil, nil, nil, nil, 1) == 1 }

    func sendPrepare(name: String, sql: String) -> Bool { unsafe PQsendPrepare(pointer, name, sql, 0, nil) == 1 }

    /// Queues a prepared statement's execution; results come in binary. The parameters are copied.
    func send(prepared name: String, _ parameters: borrowing Parameters) -> Bool {
        unsafe scratch.withPointers(to: parameters) { count, values, lengths, formats in
            unsafe PQsendQueryPrepared(pointer, name, count, values, lengths, formats, 1) == 1
        }
    }

    /// Ends an implicit transaction. libpq 15 also writes what is queued (from 17 on it could wait).
    func sendSync() -> Bool { unsafe PQpipelineSync(pointer) == 1 }

    enum FlushResult { case flushed, blocked, failed }

    func flush() -> FlushResult {
        switch unsafe PQflush(pointer) {
        case 0: .flushed
        case 1: .blocked
        default: .failed
        }
    }

    /// Reads what has arrived. False: the connection is gone, but results that came before are still there.
    func consumeInput() -> Bool { unsafe PQconsumeInput(pointer) == 1 }

    /// Whether `nextResult` would block.
    var isBusy: Bool { unsafe PQisBusy(pointer) != 0 }

    func nextResult() -> ResultHandle? { unsafe PQgetResult(pointer).map { unsafe ResultHandle($0) } }

    /// What another thread needs to ask the server to stop this connection's work.
    func cancelRequest() -> CancelRequest? {
        unsafe PQgetCancel(pointer).map { request in
            let place = unsafe [PQhostaddr(pointer).flatMap { unsafe $0.pointee == 0 ? nil : $0 } ?? PQhost(pointer), PQport(pointer)]
            return unsafe CancelRequest(
                request, server: place.map { unsafe $0.map { unsafe String(cString: $0) } ?? "" }.joined(separator: ":"))
        }
    }
}

/// The arrays that libpq wants for parameters, kept so that they are made once.
@safe
struct ParameterPointers {
    private var values: [UnsafePointer<CChar>?] = unsafe []
    private var lengths: [CInt] = []
    private var formats: [CInt] = []

    mutating func withPointers<Result>(
        to parameters: borrowing Parameters,
        _ body: (CInt, UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<CInt>, UnsafePointer<CInt>) -> Result
    ) -> Result {
        unsafe values.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        let list = parameters.values
        while formats.count < list.count { formats.append(1) }
        return unsafe parameters.buffer.withUnsafeBytes { buffer in
            unsafe formats.withUnsafeBytes { placeholder in
                for value in list {
                    lengths.append(CInt(max(0, value.length)))
                    // A value without bytes must still point somewhere: a null pointer is NULL.
                    let start = unsafe (buffer.baseAddress ?? placeholder.baseAddress!) + value.start
                    unsafe values.append(value.length < 0 ? nil : start.assumingMemoryBound(to: CChar.self))
                }
            }
            return unsafe body(CInt(list.count), values, lengths, formats)
        }
    }
}

/// NOTICE and WARNING, and a FATAL that comes while nothing is in flight.
private nonisolated func noticeReceived(_ context: UnsafeMutableRawPointer?, _ result: OpaquePointer?) {
    guard let result = unsafe result else { return }
    // libpq owns a notice's result: no handle that would free it.
    let text = unsafe sluice_postgres_result_field(result, SLUICE_POSTGRES_MESSAGE).map { unsafe String(cString: $0) }
    let severity = unsafe sluice_postgres_result_field(result, SLUICE_POSTGRES_SEVERITY).map { unsafe String(cString: $0) }
    Log.debug("PostgreSQL notice", .text("severity", severity ?? ""), .text("text", text ?? ""))
}
