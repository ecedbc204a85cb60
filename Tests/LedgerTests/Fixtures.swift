import Ledger

/// Short names for what most tests need. The force unwraps are of literals.
enum Fixtures {
    static let tenant = TenantID(1)
    static let czk = Currency("CZK")!
    static let eur = Currency("EUR")!
    static let now = Timestamp(microseconds: 1_000_000)

    static func id(_ name: String) -> AccountID { AccountID(name)! }

    static func key(_ name: String) -> AccountKey { AccountKey(tenant: tenant, account: id(name)) }

    /// An account with 1000 posted as its only entry, unless told otherwise.
    static func account(
        _ name: String, number: Int64, currency: Currency = czk, kind: AccountKind = .normal, limit: Int64 = 0, flags: AccountFlags = [],
        posted: Int64 = 1000, held: Int64 = 0
    ) -> Account {
        Account(
            key: key(name), number: number, currency: currency, kind: kind, overdraftLimit: limit, flags: flags, posted: posted, held: held,
            sequence: 1, revision: 2, openedAt: Timestamp(microseconds: 1), changedAt: Timestamp(microseconds: 2))
    }

    static func envelope(_ number: UInt64, _ command: Command, fingerprint: UInt64? = nil) -> Envelope {
        Envelope(
            id: OperationID(high: 0, low: number), tenant: tenant, fingerprint: Fingerprint(high: 0, low: fingerprint ?? number),
            acceptedAt: now,
            command: command)
    }

    static func pay(_ debit: String, _ credit: String, _ amount: Int64, currency: Currency = czk, expiresAt: Timestamp? = nil) -> Command {
        .pay(Pay(debit: id(debit), credit: id(credit), amount: amount, currency: currency, expiresAt: expiresAt))
    }

    static func open(_ name: String, kind: AccountKind = .normal, limit: Int64 = 0) -> Command {
        .openAccount(OpenAccount(account: id(name), currency: czk, kind: kind, overdraftLimit: limit))
    }
}

extension Book {
    /// Decides at `Fixtures.now`, with the command's number as that of a new account.
    mutating func decide(_ number: UInt64, _ command: Command, fingerprint: UInt64? = nil) -> Outcome {
        decide(Fixtures.envelope(number, command, fingerprint: fingerprint), at: Fixtures.now, newAccountNumber: Int64(number))
    }
}

extension Outcome {
    /// The payment in it; nil for any other outcome.
    var payment: Payment? {
        if case .payment(let payment) = self { payment } else { nil }
    }
}
