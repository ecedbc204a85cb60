public import Loop

/// What `sluice submit` is told.
public struct SubmitOptions: Sendable {
    public enum Format: String, Sendable, CaseIterable { case csv, ndjson }

    /// Which payments wait for one another.
    public enum Order: String, Sendable, CaseIterable {
        /// Every account's payments reach the log in the order of the file, as far as the order matters: see `AccountOrder`.
        case file
        /// As fast as it goes.
        case none
    }

    public var path: String
    /// Nil: CSV when the file's name ends with `.csv`, else NDJSON.
    public var format: Format?
    /// Names the file in derived idempotency keys; nil for the file's name without its folder.
    public var batch: String?
    public var target: SubmitTarget
    /// The API key.
    public var key: String
    /// Connections at most, 1 to 10,000.
    public var connections = 64
    public var order = Order.file
    /// Whether each payment is followed to its final state.
    public var follows = false
    /// How long a line is tried again, and how long a payment's final state is waited for, seconds.
    public var waitSeconds = 60

    public init(path: String, target: SubmitTarget, key: String) {
        self.path = path
        self.target = target
        self.key = key
    }

    /// Lines that are read and not finished yet, at most.
    var windowLinesMax: Int { max(2_048, connections * 16) }
}

/// Where the API is.
public struct SubmitTarget: Sendable, Equatable {
    public let address: SocketAddress
    /// The field `Host`.
    public let host: String
    /// What stands before `/v1`; without a slash at its end.
    public let pathPrefix: String

    public init(address: SocketAddress, host: String, pathPrefix: String = "") {
        self.address = address
        self.host = host
        self.pathPrefix = pathPrefix
    }
}
