internal import Loop
internal import Synchronization
internal import Telemetry

/// How many connections a process may have, in all and from one address: one quota for the servers of all its loops.
///
/// Asked when a connection is accepted and when it has gone, never for a request.
public final class ConnectionQuota: Sendable {
    /// May be passed by one connection for each loop, as several accept at once.
    public let connectionsMax: Int
    public let perAddressMax: Int
    private let open = Atomic<Int>(0)
    /// No more entries than connections.
    private let byAddress = Locked<[PeerAddress: Int]>([:])

    public init(connectionsMax: Int, perAddressMax: Int) {
        precondition(connectionsMax > 0 && perAddressMax > 0)
        self.connectionsMax = connectionsMax
        self.perAddressMax = perAddressMax
    }

    /// Whether another connection may be accepted.
    public var hasRoom: Bool { open.load(ordering: .relaxed) < connectionsMax }

    public var count: Int { open.load(ordering: .relaxed) }

    /// Counts a connection in. False, and nothing is counted, when its address has all that one may have.
    func enter(_ address: PeerAddress) -> Bool {
        // A proxy on this machine stands for all its clients, and bounds them by their own addresses.
        if address != .thisMachine {
            let isTaken = byAddress.withLock { table in
                let count = table[address, default: 0]
                guard count < perAddressMax else { return false }
                table[address] = count + 1
                return true
            }
            guard isTaken else { return false }
        }
        open.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    /// Counts out a connection that was counted in.
    func leave(_ address: PeerAddress) {
        open.wrappingSubtract(1, ordering: .relaxed)
        guard address != .thisMachine else { return }
        byAddress.withLock { table in
            guard let count = table[address] else { preconditionFailure("a connection was counted out twice") }
            table[address] = count == 1 ? nil : count - 1
        }
    }
}
