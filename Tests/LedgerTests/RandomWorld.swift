import Ledger

/// A small world from a seed: some accounts that exist, and a log of commands on them and on others. Small, so that
/// accounts are shared, emptied, frozen, absent and opened twice all the time.
struct RandomWorld {
    struct Record {
        let envelope: Envelope
        /// The time and the account number that every decision of this record gets, however often it is made.
        let now: Timestamp
        let accountNumber: Int64
    }

    private(set) var accounts: [Account] = []
    private(set) var log: [Record] = []
    private static let names = ["a", "b", "c", "d", "e", "f"].map { AccountID($0)! }
    private static let currencies = [Currency("CZK")!, Currency("JPY")!]

    init(seed: UInt64, commands: Int) {
        var random = SplitMix(seed: seed)
        for tenant in 1...2 {
            for name in Self.names where random.chance(60) {
                let key = AccountKey(tenant: TenantID(Int64(tenant)), account: name)
                accounts.append(Self.account(key, number: Int64(accounts.count + 1), &random))
            }
        }
        for index in 0..<commands {
            // A tenth of the records come again, or come with a key that another request used.
            let earlier = index > 0 && random.chance(10) ? log[random.below(index)].envelope : nil
            let isRepeat = random.chance(60)
            let tenant = earlier?.tenant ?? TenantID(Int64(random.below(2) + 1))
            let now = Timestamp(microseconds: Int64(index * 10))
            let envelope = Envelope(
                id: earlier?.id ?? OperationID(high: seed, low: UInt64(index)), tenant: tenant,
                fingerprint: isRepeat
                    ? earlier?.fingerprint ?? Fingerprint(high: 0, low: UInt64(index)) : Fingerprint(high: 1, low: UInt64(index)),
                acceptedAt: now, command: (isRepeat ? earlier?.command : nil) ?? command(at: now, &random))
            log.append(Record(envelope: envelope, now: now, accountNumber: Int64(1000 + index)))
        }
    }

    private static func account(_ key: AccountKey, number: Int64, _ random: inout SplitMix) -> Account {
        let kind: AccountKind = random.chance(25) ? .external : .normal
        let limit: Int64 = kind == .external ? 0 : [0, 0, 50, Money.minorUnitsMax][random.below(4)]
        var posted = Int64(random.below(300))
        if random.chance(15) { posted = 0 }
        if random.chance(10) { posted = Money.minorUnitsMax - posted }
        if random.chance(10), kind == .external { posted = -Money.minorUnitsMax + Int64(random.below(300)) }
        let sequence = Int64(random.below(5))
        return Account(
            key: key, number: number, currency: currencies[random.chance(20) ? 1 : 0], kind: kind, overdraftLimit: limit,
            flags: AccountFlags(rawValue: random.chance(20) ? Int16(random.below(8)) : 0), posted: posted,
            held: random.chance(20) ? Int64(random.below(100)) : 0, sequence: sequence, revision: sequence + 1 + Int64(random.below(3)),
            openedAt: Timestamp(microseconds: -2), changedAt: Timestamp(microseconds: -1))
    }

    private func command(at now: Timestamp, _ random: inout SplitMix) -> Command {
        let (names, currencies) = (Self.names, Self.currencies)
        if random.chance(30), let change = changeOfPayment(&random) { return .changePayment(change) }
        if random.chance(12) { return .changeAccount(Self.changeOfAccount(&random)) }
        let first = random.below(names.count)
        let currency = currencies[random.chance(15) ? 1 : 0]
        if random.chance(8) {
            return .openAccount(
                OpenAccount(
                    account: names[first], currency: currency, kind: random.chance(25) ? .external : .normal,
                    overdraftLimit: Int64(random.below(2) * 100)))
        }
        let second = (first + 1 + random.below(names.count - 1)) % names.count
        let amount = random.chance(3) ? Money.minorUnitsMax - Int64(random.below(300)) : Int64(random.below(60) + 1)
        let expiresAt = random.chance(10) ? Timestamp(microseconds: now.microseconds + Int64(random.below(5) - 2)) : nil
        let isManual = random.chance(45)
        let captureBefore = isManual && random.chance(20) ? Timestamp(microseconds: now.microseconds + Int64(random.below(4) - 1)) : nil
        return .pay(
            Pay(
                debit: names[first], credit: names[second], amount: amount, currency: currency, expiresAt: expiresAt,
                capture: isManual ? .manual : .automatic, captureBefore: captureBefore))
    }

    /// Of one of the last payments, so that several changes meet on one, or of none at all.
    private func changeOfPayment(_ random: inout SplitMix) -> ChangePayment? {
        guard !log.isEmpty else { return nil }
        var id = log[max(0, log.count - 1 - random.below(25))].envelope.id
        if random.chance(3) { id = OperationID(high: 7, low: 7) }
        let amount = random.chance(40) ? nil : Int64(random.below(40) + 1)
        let change: ChangePayment.Change =
            switch random.below(10) {
            case 0..<5: .capture(amount: amount, isFinal: random.chance(25))
            case 5: .void
            case 6: .expire
            default: .refund(amount: amount)
            }
        return ChangePayment(payment: id, change: change)
    }

    private static func changeOfAccount(_ random: inout SplitMix) -> ChangeAccount {
        let sides = AccountFlags(rawValue: Int16(random.below(3) + 1))
        let change: ChangeAccount.Change =
            switch random.below(10) {
            case 0..<2: .freeze(sides)
            case 2..<6: .unfreeze(sides)
            case 6..<8: .close
            default: .setOverdraftLimit(Int64(random.below(3) * 60))
            }
        return ChangeAccount(account: names[random.below(names.count)], change: change)
    }
}
