internal import Bytes
internal import Ledger
internal import Loop
internal import Redis
internal import Store
internal import Telemetry
internal import Wire

/// Writes what a commit changed into Redis, and tells the gateways whose clients wait.
///
/// Redis is a copy: whatever happens here, no money depends on it. Accounts whose new value Redis did not take are owed: the latest
/// of each is kept and written when Redis is back, and the partitions' `published` offset does not pass a batch until
/// nothing is owed, so that the next owner repeats what this one did not get done.
final class Publisher {
    /// What values or one batch's end are waiting for.
    enum Pending {
        case accounts(ArraySlice<Account>, batch: Int)
        case payment(Payment, batch: Int)
        case other(batch: Int)
        /// Bodies of accounts that somebody reads: Redis has their floors, and nothing waits for these.
        case bodies
        case emptying
        /// A renewal, and how many Redis had confirmed as it was sent.
        case lease(LeaseKey, confirmed: Int64)
    }

    /// A partition as one of its owners has it.
    struct LeaseKey: Hashable {
        let partition: Int32
        let epoch: Int64
    }

    private struct Sent {
        var reach: [Int32: Int64]
        var outstanding: Int
    }

    private static let holdOffFirstMilliseconds = 50
    private static let holdOffLastMilliseconds = 2_000

    let repliesTold = Counter()
    let failures = Counter()

    let limits: WorkerLimits
    private let onPublished: ([Int32: Int64]) -> Void
    private var session: RedisSession?
    var command = CommandBuffer()
    var body: [UInt8] = []
    var key: [UInt8] = []
    private var list = ValueList()
    private var readAccounts = ReadAccounts()
    private var pending: [UInt64: Pending] = [:]
    private var nextToken: UInt64 = 0
    /// Batches that were sent and are not confirmed, in order; `firstBatch` is the number of the first.
    private var sent: [Sent] = []
    private var firstBatch = 0
    private var owed: [PublishedValue.Name: PublishedValue] = [:]
    var mustEmpty = false
    /// Owed values that were sent again and are not answered: still owed as far as confirming goes.
    private var debtInFlight = 0
    /// How often each lease was renewed, as far as Redis has confirmed it.
    var leases: [LeaseKey: Int64] = [:]
    /// Partitions whose lease Redis refuses, because it knows of a later owner: another worker, or one that the ledger has lost.
    var refusedLeases: Set<Int32> = []
    var unproven = Unproven()
    /// Redis answered an error to what is owed: the next try is the timer's.
    private var isHeldOff = false
    private var holdOffMilliseconds = holdOffFirstMilliseconds
    private var retryTimer: LoopTimer?
    private let loop: EventLoop
    /// When the next error may be logged; the counter has them all.
    private var nextLogNanoseconds: UInt64 = 0
    private var jitter = SplitMix64()

    init(loop: EventLoop, configuration: RedisConfiguration, limits: WorkerLimits, onPublished: @escaping ([Int32: Int64]) -> Void) {
        self.loop = loop
        self.limits = limits
        self.onPublished = onPublished
        retryTimer = LoopTimer(loop: loop) { [unowned self] in
            isHeldOff = false
            settleDebt()
            confirm()
        }
        session = RedisSession(
            loop: loop, configuration: configuration,
            onReply: { [unowned self] token, result in answered(token, result) },
            onStateChange: { [unowned self] isReady in
                Log.info("redis", .flag("ready", isReady))
                oweUnproven()
                if isReady { settleDebt() }
            })
    }

    var isReady: Bool { session?.isReady ?? false }
    /// Accounts, and payments that changed, whose latest value Redis does not have.
    var owedAccounts: Int { owed.count }
    var hasDebt: Bool { !owed.isEmpty || mustEmpty || debtInFlight > 0 }
    /// Batches that are told apart and not confirmed.
    var unconfirmedBatches: Int { sent.count }

    func close() {
        retryTimer?.cancel()
        session?.close()
    }

    /// Publishes what a batch came to.
    ///
    /// - Parameters:
    ///   - bodies: of payments that stand as they were decided.
    ///   - changed: payments that changed since.
    func publish(
        accounts: [Account], tellings: [Telling], bodies: PaymentBodies = PaymentBodies(), changed: [Payment] = [],
        deadLetters: [(id: OperationID, replyTo: String)], reach: [Int32: Int64]
    ) {
        // While Redis is away, or refuses what is owed, batches are not told apart: they are confirmed together, and a long
        // outage costs no memory.
        if sent.isEmpty || (isReady && !hasDebt) {
            sent.append(Sent(reach: reach, outstanding: 0))
        } else {
            sent[sent.count - 1].reach.merge(reach) { max($0, $1) }
        }
        let batch = firstBatch + sent.count - 1
        readAccounts.turn(atNanoseconds: loop.nowNanoseconds)
        put(accounts[...], batch: batch)
        for payment in changed { put(payment, batch: batch) }
        if isReady {
            fill(bodies, batch: batch)
            var place = 0
            for telling in tellings { tell(telling, bodies, &place, batch: batch) }
            for letter in deadLetters { reply(letter.id, .quarantined, to: letter.replyTo, batch: batch) }
        } else {
            failures.add()
        }
        confirm()
    }

    /// What waits for Redis is of commits that the ledger has lost, or may be: it is not written. To be followed by `emptyCache`, which
    /// costs what other partitions had waiting nothing but misses.
    func forget(partition: Int32) {
        owed.removeAll()
        unproven.removeAll()
        for (token, what) in pending {
            switch what {
            case .accounts(let accounts, let batch):
                if batch == -1 { debtInFlight -= accounts.count }
                pending[token] = .other(batch: batch)
            case .payment(_, let batch):
                if batch == -1 { debtInFlight -= 1 }
                pending[token] = .other(batch: batch)
            case .other, .bodies, .emptying, .lease: break
            }
        }
        for index in sent.indices { sent[index].reach[partition] = nil }
    }

    /// Makes Redis forget everything, before anything else is written. Then everything below the offsets counts as published.
    func emptyCache(settling reach: [Int32: Int64] = [:]) {
        mustEmpty = true
        settleDebt()
        if !reach.isEmpty { publish(accounts: [], tellings: [], deadLetters: [], reach: reach) }
    }

    // MARK: Commands

    private func put(_ accounts: ArraySlice<Account>, batch: Int) {
        var rest = accounts
        while let tenant = rest.first?.key.tenant {
            list.removeAll()
            var end = rest.startIndex
            while end < rest.endIndex, !list.isFull, rest[end].key.tenant == tenant {
                list.append(rest[end], withBody: readAccounts.contains(rest[end].number))
                end += 1
            }
            let part = rest[..<end]
            rest = rest[end...]
            if isReady, !mustEmpty {
                RedisFunctions.encodePutAll(list, lifetimeMilliseconds: lifetime(CacheLifetime.bodyMilliseconds), into: &command)
                if send(.accounts(part, batch: batch), batch: batch) { continue }
            }
            for account in part { owe(.account(account)) }
        }
    }

    /// Redis has taken accounts, and says of which of them a body stood there: somebody reads those. Where none was sent with the
    /// revision, which had to be there at once, it follows.
    private func took(_ accounts: ArraySlice<Account>, read: Int64) {
        list.removeAll()
        for (place, account) in accounts.enumerated() where read >> Int64(place) & 1 != 0 {
            if !readAccounts.contains(account.number) { list.append(account, withBody: true) }
            readAccounts.insert(account.number)
        }
        guard list.count > 0, isReady, !mustEmpty else { return }
        RedisFunctions.encodeCompleteAll(list, lifetimeMilliseconds: lifetime(CacheLifetime.bodyMilliseconds), into: &command)
        _ = send(.bodies, batch: -1)
    }

    private func put(_ payment: Payment, batch: Int) {
        guard isReady, !mustEmpty else { return owe(.payment(payment)) }
        body.removeAll(keepingCapacity: true)
        key.removeAll(keepingCapacity: true)
        body.append(payment)
        CacheKey.appendPayment(payment.id, of: payment.tenant, to: &key)
        RedisFunctions.encodeReplace(
            key: key.span, revision: payment.revision, body: body.span, lifetimeMilliseconds: lifetime(CacheLifetime.paymentMilliseconds),
            into: &command)
        if !send(.payment(payment, batch: batch), batch: batch) { owe(.payment(payment)) }
    }

    private func fill(_ bodies: PaymentBodies, batch: Int) {
        var tenant: TenantID?
        list.removeAll()
        for index in 0..<bodies.count {
            let owner = bodies.tenant(index)
            if list.isFull || (list.count > 0 && owner != tenant) { fillList(batch: batch) }
            tenant = owner
            list.append(
                revision: PaymentBodies.revision, key: { CacheKey.appendPayment(bodies.id(index), of: owner, to: &$0) },
                body: { $0.append(bodies.body(index)) })
        }
        if list.count > 0 { fillList(batch: batch) }
    }

    private func fillList(batch: Int) {
        RedisFunctions.encodeFillAll(list, lifetimeMilliseconds: lifetime(CacheLifetime.paymentMilliseconds), into: &command)
        _ = send(.other(batch: batch), batch: batch)
        list.removeAll()
    }

    private func lifetime(_ milliseconds: Int) -> Int {
        milliseconds + Int.random(in: 0...(milliseconds / 10), using: &jitter)
    }

    func send(_ what: Pending, batch: Int) -> Bool {
        guard let session, session.send(command, token: nextToken) else {
            failures.add()
            return false
        }
        pending[nextToken] = what
        switch what {
        case .accounts(let accounts, batch: -1): debtInFlight += accounts.count
        case .payment(_, batch: -1): debtInFlight += 1
        case .accounts, .payment, .other, .bodies, .emptying, .lease: break
        }
        nextToken += 1
        if batch >= firstBatch, batch - firstBatch < sent.count { sent[batch - firstBatch].outstanding += 1 }
        return true
    }

    // MARK: Answers

    private func answered(_ token: UInt64, _ result: borrowing RedisResult) {
        guard let what = pending.removeValue(forKey: token) else { return }
        let worked: Bool
        var number: Int64?
        switch result {
        case .reply(let reply):
            worked = reply.kind != .error
            number = reply.integer
            if !worked { logRefusal(reply.text) }
        case .failure: worked = false
        }
        if !worked { failures.add() }
        switch what {
        case .accounts(let accounts, let batch):
            if batch == -1 { debtInFlight -= accounts.count }
            if worked {
                took(accounts, read: number ?? 0)
                unproven.append(accounts)
            } else {
                for account in accounts { owe(.account(account)) }
            }
            settled(worked)
            done(batch)
        case .payment(let payment, let batch):
            if batch == -1 { debtInFlight -= 1 }
            if worked { unproven.append(payment) } else { owe(.payment(payment)) }
            settled(worked)
            done(batch)
        case .other(let batch): done(batch)
        case .bodies: break
        case .lease(let lease, let confirmed): if let number { renewed(lease, confirmed: confirmed, number) }
        case .emptying:
            if worked {
                mustEmpty = false
                settleDebt()
            } else {
                holdOff()
            }
        }
        unproven.cut(above: limits.unpublishedAccountsMax)
        confirm()
    }

    private func settled(_ worked: Bool) {
        if worked { holdOffMilliseconds = Self.holdOffFirstMilliseconds } else { holdOff() }
    }

    /// Leaves what is owed for a while: a server that refuses a value (full, a replica now, loading) refuses it again at once.
    private func holdOff() {
        guard !isHeldOff, isReady else { return }
        isHeldOff = true
        retryTimer?.arm(afterMilliseconds: holdOffMilliseconds)
        holdOffMilliseconds = min(Self.holdOffLastMilliseconds, holdOffMilliseconds * 2)
    }

    /// At most one line a second.
    private func logRefusal(_ error: String) {
        guard loop.nowNanoseconds >= nextLogNanoseconds else { return }
        nextLogNanoseconds = loop.nowNanoseconds + 1_000_000_000
        Log.error("redis refused a value", .text("error", error), .integer("owed_accounts", owed.count))
    }

    private func done(_ batch: Int) {
        guard batch >= firstBatch else { return }
        sent[batch - firstBatch].outstanding -= 1
    }

    func owe(_ value: PublishedValue) {
        if let known = owed[value.name], known.revision >= value.revision { return }
        owed[value.name] = value
        guard owed.count > limits.unpublishedAccountsMax else { return }
        owed.removeAll()
        mustEmpty = true
    }

    /// Writes what is owed; called when Redis is back and as long as there is something.
    private func settleDebt() {
        guard let session, session.isReady, !isHeldOff else { return }
        if mustEmpty {
            guard !pending.values.contains(where: { if case .emptying = $0 { true } else { false } }) else { return }
            command.begin(argumentCount: 1)
            command.append("FLUSHDB")
            _ = send(.emptying, batch: -1)
            return
        }
        var accounts: [Account] = []
        for value in Array(owed.values.prefix(4_096)) where session.isReady {
            owed[value.name] = nil
            switch value {
            case .account(let account): accounts.append(account)
            case .payment(let payment): put(payment, batch: -1)
            }
        }
        put(accounts.sorted { $0.key.tenant.rawValue < $1.key.tenant.rawValue }[...], batch: -1)
    }

    /// Batches from the front whose every value is there, with nothing owed from before.
    private func confirm() {
        if hasDebt {
            if pending.isEmpty { settleDebt() }
            return
        }
        var reach: [Int32: Int64] = [:]
        var count = 0
        while count < sent.count, sent[count].outstanding == 0 {
            reach.merge(sent[count].reach) { max($0, $1) }
            count += 1
        }
        guard count > 0 else { return }
        sent.removeFirst(count)
        firstBatch += count
        onPublished(reach)
    }
}
