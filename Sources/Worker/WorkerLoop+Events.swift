internal import Ledger
internal import Postgres
internal import Store
internal import Wire

/// Events of what is committed, and how far they are.
extension WorkerLoop {
    func relay(_ events: [LedgerEvent], _ bodies: PaymentBodies, reach: [Int32: Int64]) {
        relay?.relay(events, bodies, log: machine.logIncarnation, reach: reach)
        machine.isHeldBack = relay?.isBehind ?? false
    }

    func relayed(_ reach: [Int32: Int64]) {
        machine.relayed(reach)
        guard machine.isHeldBack, relay?.isBehind == false else { return }
        machine.isHeldBack = false
        pump()
    }

    /// Stores how far outcomes are published and relayed when no batch has carried it: the next owner begins there.
    func note() {
        guard machine.phase == .idle, let database else { return }
        let notes = machine.takeNotes()
        guard !notes.isEmpty else { return }
        // Best effort: who does not find it repeats a little more.
        _ = database.execute([PartitionQueries.note(notes)]) { _ in }
    }

    /// The events of records that were decided before, in log order, as they were written or would have been then.
    static func events(_ batch: Batch, _ recalled: Recalled) -> [LedgerEvent] {
        let outcomes = Dictionary(recalled.outcomes.map { ($0.id, $0.outcome) }, uniquingKeysWith: { first, _ in first })
        let payments = Dictionary(recalled.payments.map { ($0.id, $0.request) }, uniquingKeysWith: { first, _ in first })
        return batch.records.compactMap { record in
            guard case .command(let command) = record.content else { return nil }
            let id = command.envelope.id
            // Another record under the same id was the one that counted.
            guard let standing = recalled.standings[id], standing.position == record.position, let outcome = outcomes[id] else {
                return nil
            }
            let content: LedgerEvent.Content
            switch outcome {
            case .payment(let payment): content = .payment(payment)
            case .paymentChanged(let change): content = .change(change, of: payments[change.request.payment])
            case .opened, .accountChanged:
                content = .account(command.envelope.command, revision: standing.accountRevision, declineReason: nil)
            case .accountDeclined(_, let reason): content = .account(command.envelope.command, revision: nil, declineReason: reason)
            case .repeated, .keyReused: return nil
            }
            return LedgerEvent(
                id: id, tenant: command.envelope.tenant, partition: record.position.partition, offset: record.position.offset,
                decidedAt: standing.decidedAt, content: content)
        }
    }
}
