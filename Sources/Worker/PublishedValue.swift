internal import Ledger

/// What Redis must not show an older state of.
enum PublishedValue {
    case account(Account)
    /// One that changed after its decision.
    case payment(Payment)

    enum Name: Hashable {
        case account(AccountKey)
        case payment(OperationID)
    }

    var name: Name {
        switch self {
        case .account(let account): .account(account.key)
        case .payment(let payment): .payment(payment.id)
        }
    }
    var revision: Int64 {
        switch self {
        case .account(let account): account.revision
        case .payment(let payment): payment.revision
        }
    }
}
