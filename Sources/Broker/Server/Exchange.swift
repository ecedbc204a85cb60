/// One request from its arrival until its answer is handed to the connection. Answers leave in the order of requests.
final class Exchange {
    let number: UInt64
    let key: ApiKey
    let version: Int16
    let correlation: Int32
    /// nil once the connection is gone: whoever finishes the exchange then does nothing.
    private(set) weak var connection: Connection?
    fileprivate(set) var answer: [UInt8]?
    /// A fetch that waits for its turn, or for records.
    var fetch: FetchWait?

    init(number: UInt64, key: ApiKey, header: RequestHeader, connection: Connection) {
        self.number = number
        self.key = key
        version = header.version
        correlation = header.correlation
        self.connection = connection
    }

    /// A writer whose header is that of this exchange's answer.
    func writer(reserve: Int = 128) -> ResponseWriter {
        let flexible = key.isFlexible(version)
        return ResponseWriter(
            correlation: correlation, isFlexible: flexible, flexibleHeader: flexible && key != .apiVersions, reserve: reserve)
    }

    func finish(_ writer: consuming ResponseWriter) { finish(bytes: writer.finish()) }

    /// No bytes: a request that wants no answer (`acks=0`).
    func finish(bytes: [UInt8]) {
        guard answer == nil, let connection else { return }
        answer = bytes
        fetch = nil
        connection.pump()
    }

    func disconnect() { connection = nil }
}
