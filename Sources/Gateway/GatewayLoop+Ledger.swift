internal import Loop
internal import Postgres
internal import Store

extension GatewayLoop {
    private static let idlePlacesMilliseconds: UInt64 = 1_000

    /// Often while commands of this loop wait for the ledger, else now and then: what it has passed tells whether a log is the one it applied.
    func askHowFarTheLedgerIs(_ parts: Parts, nowMilliseconds now: UInt64) {
        guard now >= nextPlacesMilliseconds, let door = parts.door else { return }
        guard !door.settlement.isEmpty || now - nextPlacesMilliseconds >= Self.idlePlacesMilliseconds else { return }
        // Not before the answer is there, which the query's time bounds.
        nextPlacesMilliseconds = .max
        let sent = parts.pool.execute([PartitionQueries.allPlaces]) { [unowned self] result in
            nextPlacesMilliseconds = loop.nowNanoseconds / 1_000_000 + UInt64(limits.settlementPollMilliseconds)
            guard case .success(let answers) = result else { return }
            for place in PartitionQueries.nextOffsets(answers[0]) {
                door.settlement.applied(
                    partition: place.partition, nextOffset: place.nextOffset, nowMilliseconds: loop.nowNanoseconds / 1_000_000)
            }
        }
        if !sent { nextPlacesMilliseconds = now + UInt64(limits.settlementPollMilliseconds) }
    }
}
