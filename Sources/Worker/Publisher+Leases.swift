internal import Ledger
internal import Redis
internal import Store
internal import Telemetry

/// What the worker vouches for, and what it does when Redis comes back with less than it had taken.
extension Publisher {
    /// Values that Redis took since it confirmed a renewal last. A Redis that comes back with that renewal may have lost them: it went on from
    /// its disk, or is the replica of the one that was lost. With an earlier one, or with none, the lease tells.
    struct Unproven {
        private var accounts: [ArraySlice<Account>] = []
        private var payments: [Payment] = []
        private var count = 0
        /// There were more than are kept, while no lease was renewed.
        private var isCut = false

        mutating func append(_ accounts: ArraySlice<Account>) {
            self.accounts.append(accounts)
            count += accounts.count
        }

        mutating func append(_ payment: Payment) {
            payments.append(payment)
            count += 1
        }

        mutating func cut(above max: Int) {
            guard count > max else { return }
            removeAll()
            isCut = true
        }

        mutating func removeAll() {
            accounts.removeAll(keepingCapacity: true)
            payments.removeAll(keepingCapacity: true)
            count = 0
            isCut = false
        }

        /// All of them, the earlier ones first; nil when not all are known.
        mutating func take() -> (accounts: [ArraySlice<Account>], payments: [Payment])? {
            defer { removeAll() }
            return isCut ? nil : (accounts, payments)
        }
    }

    /// The session was lost, or is there again.
    func oweUnproven() {
        guard let values = unproven.take() else {
            mustEmpty = true
            return
        }
        for part in values.accounts { for account in part { owe(.account(account)) } }
        for payment in values.payments { owe(.payment(payment)) }
    }

    /// Says that everything committed in these partitions is in Redis: to be called several times in a lease's life, and only with
    /// partitions whose earlier owner left nothing unpublished. Not said while something is owed. What is on its way stands
    /// before this in the same pipeline, so Redis has it first.
    func renewLeases(_ owned: [(partition: Int32, epoch: Int64)]) {
        refusedLeases.formIntersection(owned.map(\.partition))
        guard isReady, !hasDebt else { return }
        if leases.count > 2 * owned.count {
            let held = Set(owned.map { LeaseKey(partition: $0.partition, epoch: $0.epoch) })
            leases = leases.filter { held.contains($0.key) }
        }
        for (partition, epoch) in owned {
            let lease = LeaseKey(partition: partition, epoch: epoch)
            key.removeAll(keepingCapacity: true)
            CacheKey.appendLease(ofPartition: partition, to: &key)
            let confirmed = leases[lease] ?? 0
            RedisFunctions.encodeRenew(lease: key.span, epoch: epoch, confirmed: confirmed, into: &command)
            _ = send(.lease(lease, confirmed: confirmed), batch: -1)
        }
    }

    func renewed(_ lease: LeaseKey, confirmed: Int64, _ answer: Int64) {
        switch LeaseRefusal(rawValue: answer) {
        // The first: there was no lease, so Redis was emptied, and holds nothing old. A worker that took that for a lapse of Redis's memory
        // would empty it again, and with it the leases of other workers, which would do the same.
        case nil:
            leases[lease] = answer == 1 ? 1 : max(leases[lease] ?? 0, answer)
            unproven.removeAll()
            refusedLeases.remove(lease.partition)
        case .superseded:
            guard refusedLeases.insert(lease.partition).inserted else { return }
            Log.warning("redis knows of a later owner: the lease is refused", .integer("partition", lease.partition))
        // Sent before the answer to one before it came, which found Redis emptied or had it emptied: it counts from before that.
        case .forgotten where confirmed > leases[lease] ?? 0: break
        case .forgotten: distrust("redis came back with what it held earlier: it is emptied", lease)
        case .otherLine: distrust("redis is of before the database was promoted or restored: it is emptied", lease)
        }
    }

    private func distrust(_ message: StaticString, _ lease: LeaseKey) {
        Log.warning(message, .integer("partition", lease.partition))
        leases[lease] = nil
        emptyCache()
    }
}
