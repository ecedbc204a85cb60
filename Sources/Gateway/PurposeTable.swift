/// The purposes of what is in flight, by token. Slots are reused, so that a read allocates nothing.
final class PurposeTable {
    private var purposes: [Cache.Purpose] = []
    private var free: [UInt32] = []

    func put(_ purpose: Cache.Purpose) -> UInt64 {
        if let slot = free.popLast() {
            purposes[Int(slot)] = purpose
            return UInt64(slot)
        }
        purposes.append(purpose)
        return UInt64(purposes.count - 1)
    }

    /// Each token is taken once: the session answers it exactly once.
    func take(_ token: UInt64) -> Cache.Purpose {
        let purpose = purposes[Int(token)]
        purposes[Int(token)] = .nothing
        free.append(UInt32(token))
        return purpose
    }
}
