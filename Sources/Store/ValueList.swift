public import Ledger
internal import Redis
internal import Wire

/// Keys with a revision and a body each, gathered for one command. One tenant's: a cluster of Redis servers keeps those together.
public struct ValueList: ~Copyable {
    /// A function keeps Redis from all else while it runs: with so many keys for about 100 microseconds.
    public static let countMax = 32

    private var keys: [UInt8] = []
    private var bodies: [UInt8] = []
    private var entries: [(keyEnd: Int, revision: Int64, bodyEnd: Int)] = []

    public init() {}

    public var count: Int { entries.count }
    public var isFull: Bool { entries.count >= Self.countMax }

    /// Appends what the closures append to the bytes that they are given, and nothing else of them.
    public mutating func append(revision: Int64, key: (inout [UInt8]) -> Void, body: (inout [UInt8]) -> Void) {
        key(&keys)
        body(&bodies)
        entries.append((keys.count, revision, bodies.count))
    }

    /// Appends an account; without its body, what is written is a floor.
    public mutating func append(_ account: Account, withBody: Bool) {
        append(
            revision: account.revision, key: { CacheKey.appendAccount(account.key.account, of: account.key.tenant, to: &$0) },
            body: { if withBody { $0.append(account) } })
    }

    public mutating func removeAll() {
        keys.removeAll(keepingCapacity: true)
        bodies.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }

    /// The number of keys, the keys, and a revision and a body for each.
    func append(to command: inout CommandBuffer) {
        command.append(decimal: Int64(entries.count))
        let (keys, bodies) = (keys.span, bodies.span)
        var start = 0
        for entry in entries {
            command.append(keys.extracting(start..<entry.keyEnd))
            start = entry.keyEnd
        }
        start = 0
        for entry in entries {
            command.append(decimal: entry.revision)
            command.append(bodies.extracting(start..<entry.bodyEnd))
            start = entry.bodyEnd
        }
    }
}
