internal import HTTP1
internal import Loop

/// One slot of the server's table: made once, reused for connection after connection.
final class Connection {
    let slot: UInt32
    /// Rises with each connection in the slot, so that a ticket of an earlier one finds nobody.
    var generation: UInt32 = 0
    var descriptor: CInt = -1
    var watch: DescriptorWatch?
    var machine: ConnectionMachine
    /// Bytes of an unfinished request; without memory of its own while there are none.
    var kept: [UInt8] = []
    /// Answers that the socket has not taken, from `sent` on; without memory of its own while there are none.
    var output: [UInt8] = []
    var sent = 0
    /// Answers whose turn has not come.
    var held: [(number: ConnectionMachine.RequestNumber, bytes: [UInt8])] = []
    var heldBytes = 0
    /// What the server has counted of its bytes.
    var countedBytes = 0
    /// Whom it is from.
    var peer = PeerAddress.thisMachine
    /// Whether it is in the list of those to flush at the end of the turn.
    var isDirty = false
    /// Whether it is in the list of those whose share of a turn was used up.
    var isPutOff = false
    var isOpen: Bool { descriptor >= 0 }
    var unwrittenBytes: Int { output.count - sent }
    /// What it keeps in memory beyond a turn.
    var bufferedBytes: Int { kept.count + unwrittenBytes + heldBytes }

    init(slot: UInt32, limits: borrowing ConnectionLimits) {
        self.slot = slot
        machine = ConnectionMachine(limits: limits, now: 0)
    }

    /// What the machine wants the socket watched for.
    func updateInterest() {
        var interest: Readiness = machine.wantsInput ? .read : []
        if unwrittenBytes > 0 { interest.insert(.write) }
        watch?.interest = interest
    }
}
