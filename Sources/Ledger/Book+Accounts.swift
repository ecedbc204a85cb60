/// The rules of what an account may become.
extension Book {
    mutating func decide(_ order: ChangeAccount, _ envelope: Envelope, at now: Timestamp) -> Outcome {
        let key = AccountKey(tenant: envelope.tenant, account: order.account)
        guard let index = find(key) else { return .accountDeclined(key, .accountNotFound) }
        if let reason = Self.refusal(of: order.change, on: table.slots[index].account) { return .accountDeclined(key, reason) }
        return .accountChanged(
            change(index, at: now) { account in
                switch order.change {
                case .freeze(let sides): account.flags.formUnion(sides)
                case .unfreeze(let sides): account.flags.subtract(sides)
                case .close: account.flags.insert(.closed)
                case .setOverdraftLimit(let limit): account.overdraftLimit = limit
                }
            })
    }

    /// Why the account may not be changed so; nil when it may. The first that applies is told.
    private static func refusal(of change: ChangeAccount.Change, on account: Account) -> DeclineReason? {
        if account.flags.contains(.closed) { return .alreadyClosed }
        switch change {
        case .freeze(let sides), .unfreeze(let sides):
            precondition(!sides.isEmpty && sides.isSubset(of: .sides), "the door lets no such sides in")
            return nil
        case .close:
            if account.posted != 0 { return .balanceNotZero }
            return account.held == 0 ? nil : .fundsHeld
        case .setOverdraftLimit(let limit):
            precondition(limit >= 0 && limit <= Money.minorUnitsMax, "the door lets no such limit in")
            if account.kind == .external { return .externalAccount }
            return account.posted - account.held < -limit ? .overdraftInUse : nil
        }
    }
}
