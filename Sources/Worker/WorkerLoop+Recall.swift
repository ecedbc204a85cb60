internal import Ledger
internal import Postgres
internal import Store
internal import Wire

/// Outcomes that stand from before, read again to be told.
extension WorkerLoop {
    /// An outcome as it is stored.
    struct StoredOutcome {
        let id: OperationID
        let fingerprint: Fingerprint
        let outcome: Outcome

        func telling(to replyTo: String?) -> Telling { Telling(id: id, outcome: outcome, fingerprint: fingerprint, replyTo: replyTo) }
    }

    /// Outcomes with the accounts and the payments that they are about.
    struct Recalled {
        var outcomes: [StoredOutcome] = []
        var payments: [Payment] = []
        var accounts: [Account] = []
        /// Where the outcomes' commands stand in the log.
        var standings: [OperationID: LearnQueries.Standing] = [:]
    }

    /// Reads the outcomes of ids; nil when the database did not answer.
    ///
    /// - Parameters:
    ///   - changed: payments that commands among them changed.
    ///   - keys: accounts to be read as well.
    func recall(
        _ ids: [OperationID], changed: [OperationID] = [], accounts keys: [AccountKey] = [], _ completion: @escaping (Recalled?) -> Void
    ) {
        let queries = [
            LearnQueries.payments(ids + changed), LearnQueries.operations(ids), LearnQueries.priorDecisions(of: ids),
            LearnQueries.accounts(ofPayments: changed), LearnQueries.standings(of: ids),
        ]
        let isSent =
            database?.execute(queries) { [unowned self] result in
                guard case .success(let rows) = result else { return completion(nil) }
                var recalled = Recalled()
                recalled.payments = (0..<rows[0].count).map { PaymentColumns.payment(rows[0], $0) }
                recalled.accounts = (0..<rows[3].count).map { AccountColumns.account(rows[3], $0) }
                for standing in LearnQueries.standings(rows[4]) { recalled.standings[standing.id] = standing }
                let operations = LearnQueries.operations(rows[1])
                let fingerprints = Dictionary(
                    LearnQueries.priorDecisions(rows[2]).map { ($0.id, $0.decision.fingerprint) }, uniquingKeysWith: { first, _ in first })
                var wanted = Set(keys)
                for case .account(let key, _, _) in operations.map(\.content) { wanted.insert(key) }
                wanted.subtract(recalled.accounts.map(\.key))
                readAccounts(Array(wanted)) { accounts in
                    guard let accounts else { return completion(nil) }
                    recalled.accounts += accounts
                    recalled.outcomes = Self.outcomes(operations, recalled, fingerprints)
                    completion(recalled)
                }
            } ?? false
        if !isSent { completion(nil) }
    }

    private func readAccounts(_ keys: [AccountKey], _ completion: @escaping ([Account]?) -> Void) {
        guard !keys.isEmpty else { return completion([]) }
        let isSent =
            database?.execute([LearnQueries.accounts(keys)]) { result in
                guard case .success(let rows) = result else { return completion(nil) }
                completion((0..<rows[0].count).map { AccountColumns.account(rows[0], $0) })
            } ?? false
        if !isSent { completion(nil) }
    }

    private static func outcomes(
        _ operations: [RecordedOperation], _ recalled: Recalled, _ fingerprints: [OperationID: Fingerprint]
    ) -> [StoredOutcome] {
        var outcomes: [StoredOutcome] = []
        for payment in recalled.payments {
            guard let fingerprint = fingerprints[payment.id] else { continue }
            outcomes.append(StoredOutcome(id: payment.id, fingerprint: fingerprint, outcome: .payment(payment)))
        }
        let accounts = Dictionary(recalled.accounts.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        for operation in operations {
            let outcome: Outcome
            switch operation.content {
            case .payment(let change): outcome = .paymentChanged(change)
            case .account(let key, _, let reason?): outcome = .accountDeclined(key, reason)
            case .account(let key, let isOpening, nil):
                guard let account = accounts[key] else { continue }
                outcome = isOpening ? .opened(account) : .accountChanged(account)
            }
            outcomes.append(StoredOutcome(id: operation.id, fingerprint: operation.fingerprint, outcome: outcome))
        }
        return outcomes
    }

    /// What the previous owner committed and perhaps did not publish is read and published again.
    func republish() {
        guard let batch = machine.batch else { return }
        var ids: [OperationID] = []
        var changed: Set<OperationID> = []
        var channels: [OperationID: Set<String>] = [:]
        var keys: Set<AccountKey> = []
        for record in batch.records {
            guard case .command(let command) = record.content else { continue }
            ids.append(command.envelope.id)
            keys.formUnion(command.envelope.accounts)
            if case .changePayment(let change) = command.envelope.command { changed.insert(change.payment) }
            if let replyTo = command.replyTo { channels[command.envelope.id, default: []].insert(replyTo) }
        }
        recall(ids, changed: Array(changed), accounts: Array(keys)) { [unowned self] recalled in
            if let recalled {
                machine.republished()
                let tellings = recalled.outcomes.flatMap { outcome in (channels[outcome.id] ?? []).map { outcome.telling(to: $0) } }
                let bodies = PaymentBodies(recalled.payments)
                publisher.publish(
                    accounts: recalled.accounts, tellings: tellings, bodies: bodies, changed: recalled.payments.filter { $0.revision > 1 },
                    deadLetters: [], reach: batch.reach)
                relay(Self.events(batch, recalled), bodies, reach: batch.reach)
            } else {
                failed(.notReady)
            }
            finishRevocationIfDue()
            pump()
        }
    }
}
