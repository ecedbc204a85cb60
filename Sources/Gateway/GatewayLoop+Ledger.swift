internal import Loop
internal import Postgres
internal import Store

extension GatewayLoop {
    /// While commands of this loop wait for the ledger. Else the question is put with that for the API keys, every two seconds and before the first
    /// command comes.
    func askHowFarTheLedgerIs(_ parts: Parts, nowMilliseconds now: UInt64) {
        guard now >= nextPlacesMilliseconds, let door = parts.door, !door.settlement.isEmpty else { return }
        // Not before the answer is there, which the query's time bounds.
        nextPlacesMilliseconds = .max
        let sent = parts.pool.execute([PartitionQueries.allPlaces]) { [unowned self] result in
            nextPlacesMilliseconds = loop.nowNanoseconds / 1_000_000 + UInt64(limits.settlementPollMilliseconds)
            if case .success(let answers) = result { note(answers[0], door) }
        }
        if !sent { nextPlacesMilliseconds = now + UInt64(limits.settlementPollMilliseconds) }
    }

    /// How far the ledger is: what it has passed also tells whether a log is the one that it applied.
    func note(_ places: Rows, _ door: CommandDoor) {
        for place in PartitionQueries.nextOffsets(places) {
            door.settlement.applied(
                partition: place.partition, nextOffset: place.nextOffset, ofLog: place.log, nowMilliseconds: loop.nowNanoseconds / 1_000_000
            )
        }
    }
}
