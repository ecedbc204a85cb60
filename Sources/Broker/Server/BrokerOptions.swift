public import Loop

/// How the broker is started.
public struct BrokerOptions: Sendable {
    /// What an acknowledgement promises.
    public enum Flush: Equatable, Sendable {
        /// Records are on the disk before they are acknowledged or shown to consumers: nothing is lost by `kill -9` or a power cut.
        case always
        /// Records are on the disk at the latest after this long: nothing is lost by `kill -9`, up to this much by a power cut.
        case interval(milliseconds: Int)
    }

    /// Made if absent; its parent must exist.
    public var dataFolder: String
    public var address: SocketAddress
    /// What clients are told to connect to; nil: the listening address.
    public var advertised: (host: String, port: UInt16)?
    /// Listening beyond this machine must be asked for: there is no authentication.
    public var allowsRemote = false
    public var flush = Flush.always
    /// Partitions of a topic that a client's metadata request may make; 0: topics are only made by CreateTopics.
    public var autoCreatePartitions: Int32 = 0
    /// The bound port is written to this file when the broker is ready.
    public var portFile: String?

    public init(dataFolder: String, address: SocketAddress) {
        self.dataFolder = dataFolder
        self.address = address
    }
}

/// The broker cannot start; the sentence says what to change.
public struct BrokerStartError: Error, CustomStringConvertible {
    public let description: String
}
