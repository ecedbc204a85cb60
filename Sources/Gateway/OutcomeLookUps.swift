internal import Bytes
internal import Ledger
internal import Postgres
internal import Redis
internal import Store
internal import Wire

/// Finds out what became of a command: in Redis, or on a replica and then on the primary.
///
/// Who is told an outcome acts on it, so it must be one that no failover takes back. Redis has those that were committed; a replica may
/// show one whose commit still waits for the synchronous standby, and which is decided anew if that standby takes over. The primary
/// does not show it before. So a replica's word is only the reason to ask the primary, within its budget.
final class OutcomeLookUps {
    enum Finding {
        case outcome(CommandOutcome)
        /// The key was used by another request.
        case conflict
        case nothing
    }

    private let cache: Cache
    private let pool: ReplicaPool
    /// Those that wait for Redis.
    private var waiting: [ObjectIdentifier: (asksPrimary: Bool, completion: (Finding) -> Void)] = [:]

    init(cache: Cache, pool: ReplicaPool) {
        self.cache = cache
        self.pool = pool
    }

    /// Looks once.
    ///
    /// - Parameters:
    ///   - asksPrimary: whether the primary is asked, within its budget, when a replica does not know.
    ///   - completion: called once, perhaps before this returns.
    func find(_ pending: PendingCommand, asksPrimary: Bool, completion: @escaping (Finding) -> Void) {
        // Redis holds payments only; an account's value does not tell which command opened it.
        if pending.isPayment, cache.getOutcome(of: pending) {
            waiting[ObjectIdentifier(pending)] = (asksPrimary, completion)
        } else {
            ask(pending, onPrimary: false, asksPrimary: asksPrimary, completion)
        }
    }

    /// Redis's answer.
    func answered(_ pending: PendingCommand, _ result: RedisResult) {
        guard let (asksPrimary, completion) = waiting.removeValue(forKey: ObjectIdentifier(pending)) else { return }
        let request = pending.canonical
        if case .reply(let reply) = result, reply.kind == .string, let value = CacheValue(reply.bytes), value.kind == .body,
            let shown = ShownPayment(value.body, request: request.span)
        {
            return completion(.outcome(CommandOutcome(shown)))
        }
        // Also when another request's payment is shown: the fingerprint is in the ledger.
        ask(pending, onPrimary: false, asksPrimary: asksPrimary, completion)
    }

    private func ask(_ pending: PendingCommand, onPrimary: Bool, asksPrimary: Bool, _ completion: @escaping (Finding) -> Void) {
        let queries = Self.queries(pending)
        let done: PostgresSession.Completion = { [unowned self] result in
            let finding = Self.finding(pending, result)
            if onPrimary { return completion(finding) }
            if case .nothing = finding, !asksPrimary { return completion(finding) }
            ask(pending, onPrimary: true, asksPrimary: asksPrimary, completion)
        }
        let asker = pending.tenant.rawValue
        let sent =
            onPrimary ? pool.executeOnPrimary(queries, for: asker, completion: done) : pool.execute(queries, for: asker, completion: done)
        if !sent { completion(.nothing) }
    }

    private static func queries(_ pending: PendingCommand) -> [Query] {
        let prior = LearnQueries.priorDecisions(of: [pending.id])
        switch pending.command {
        case .pay: return [prior, ReadQueries.payment(pending.id, of: pending.tenant)]
        case .changePayment: return [prior, ReadQueries.operation(pending.id)]
        case .openAccount, .changeAccount:
            return [prior, ReadQueries.operation(pending.id)]
                + pending.envelope.accounts.map { ReadQueries.account($0) }
        }
    }

    private static func finding(_ pending: PendingCommand, _ result: Result<[Rows], PostgresError>) -> Finding {
        guard case .success(let answers) = result, let prior = LearnQueries.priorDecisions(answers[0]).first else { return .nothing }
        guard prior.decision.fingerprint == pending.fingerprint else { return .conflict }
        // The statements see one snapshot each: what the first one saw, the later ones see as well.
        switch pending.command {
        case .pay:
            guard !answers[1].isEmpty else { return .nothing }
            return .outcome(CommandOutcome(PaymentColumns.payment(answers[1], 0)))
        case .openAccount, .changeAccount, .changePayment:
            guard let operation = LearnQueries.operations(answers[1]).first else { return .nothing }
            return finding(operation, answers)
        }
    }

    private static func finding(_ operation: RecordedOperation, _ answers: [Rows]) -> Finding {
        switch operation.content {
        case .account(_, isOpening: true, let reason?): return .outcome(.accountDeclined(reason))
        case .account(_, isOpening: false, let reason?): return .outcome(.changeDeclined(reason))
        case .account(_, let isOpening, nil):
            guard answers.count > 2, !answers[2].isEmpty else { return .nothing }
            var body: [UInt8] = []
            body.append(AccountColumns.account(answers[2], 0))
            return .outcome(isOpening ? .opened(body) : .changed(body))
        case .payment(let change):
            if let reason = change.declineReason { return .outcome(.changeDeclined(reason)) }
            var body: [UInt8] = []
            body.append(change)
            return .outcome(.changed(body))
        }
    }
}
