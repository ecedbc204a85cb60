/// The payments of the batch under way: those it decided, and those that were decided before and are to be changed.
struct PaymentTable {
    /// Where a payment stands, until the batch ends.
    enum Place {
        case decided(Int)
        case known(Int)
    }

    private struct Known {
        var payment: Payment
        let storedRevision: Int64
    }

    /// In log order, as they stand after what was decided so far.
    private(set) var decided: [Book.DecidedPayment] = []
    private var known: [Known] = []
    private var places: [OperationID: Place] = [:]
    /// How many of `decided` are in `places`: a batch of plain payments never looks one up, and pays for no dictionary.
    private var indexed = 0

    /// The payments that were decided before and that the batch changed.
    var changed: [(expectedRevision: Int64, payment: Payment)] {
        known.compactMap { $0.payment.revision == $0.storedRevision ? nil : ($0.storedRevision, $0.payment) }
    }

    mutating func append(_ payment: Book.DecidedPayment) { decided.append(payment) }

    /// Sets a payment's state as storage has it.
    mutating func learn(_ payment: Payment) {
        if case .known(let index)? = places[payment.id] {
            known[index] = Known(payment: payment, storedRevision: payment.revision)
        } else {
            places[payment.id] = .known(known.count)
            known.append(Known(payment: payment, storedRevision: payment.revision))
        }
    }

    mutating func find(_ id: OperationID) -> Place? {
        while indexed < decided.count {
            places[decided[indexed].payment.id] = .decided(indexed)
            indexed += 1
        }
        return places[id]
    }

    subscript(place: Place) -> Payment {
        get {
            switch place {
            case .decided(let index): decided[index].payment
            case .known(let index): known[index].payment
            }
        }
        set {
            switch place {
            case .decided(let index): decided[index].payment = newValue
            case .known(let index): known[index].payment = newValue
            }
        }
    }

    mutating func removeAll() {
        decided.removeAll(keepingCapacity: true)
        known.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        indexed = 0
    }
}
