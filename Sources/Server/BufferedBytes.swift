internal import HTTP1

/// The memory that the clients of one server hold beyond a turn, by sending or reading slowly: unfinished requests and unread answers.
struct BufferedBytes {
    private(set) var total = 0

    /// Notes what a connection keeps now; nothing when it is closed.
    mutating func count(_ connection: Connection) {
        let bytes = connection.isOpen ? connection.bufferedBytes : 0
        total += bytes - connection.countedBytes
        connection.countedBytes = bytes
    }

    /// The connections to close so that no more than `limit` bytes are left.
    ///
    /// Those that hold theirs the longest go first. All are given the same time, so these are the ones whose time ends next.
    func overdue(among connections: [Connection], leaving limit: Int) -> [UInt32] {
        let holders = connections.filter { $0.isOpen && $0.countedBytes > 0 }
        var left = total
        var result: [UInt32] = []
        for holder in holders.sorted(by: { ($0.machine.deadline, $0.slot) < ($1.machine.deadline, $1.slot) }) where left > limit {
            left -= holder.countedBytes
            result.append(holder.slot)
        }
        return result
    }
}
