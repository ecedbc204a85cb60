internal import Loop
internal import Postgres
internal import Store

extension GatewayLoop {
    /// While commands of this loop wait for the ledger.
    func askHowFarTheLedgerIs(_ parts: Parts, nowMilliseconds now: UInt64) {
        guard now >= nextPlacesMilliseconds, let door = parts.door, !door.settlement.isEmpty else { return }
        // Not before the answer is there, which the query's time bounds.
        nextPlacesMilliseconds = .max
        let sent = parts.pool.execute([PartitionQueries.allPlaces]) { [unowned self] result in
            nextPlacesMilliseconds = loop.nowNanoseconds / 1_000_000 + UInt64(limits.settlementPollMilliseconds)
            guard case .success(let answers) = result else { return }
            for place in PartitionQueries.nextOffsets(answers[0]) {
                door.settlement.applied(partition: place.partition, nextOffset: place.nextOffset)
            }
        }
        if !sent { nextPlacesMilliseconds = now + UInt64(limits.settlementPollMilliseconds) }
    }
}
