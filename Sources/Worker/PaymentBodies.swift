internal import Bytes
internal import Ledger
internal import Wire

/// The bodies of a batch's payments as they were decided, each written once for all who are told: Redis, the event, whoever waits.
struct PaymentBodies {
    private struct Entry {
        let id: OperationID
        let tenant: TenantID
        let start: Int
        let end: Int
    }

    /// Of all of them.
    static let revision: Int64 = 1

    private var bytes: [UInt8] = []
    private var entries: [Entry] = []

    init() {}

    /// - Parameter payments: those that changed since their decision are passed over: their bodies show the change.
    init(_ payments: some Collection<Payment>) {
        entries.reserveCapacity(payments.count)
        bytes.reserveCapacity(payments.count * 400)
        for payment in payments where payment.revision == Self.revision {
            let start = bytes.count
            bytes.append(payment)
            entries.append(Entry(id: payment.id, tenant: payment.tenant, start: start, end: bytes.count))
        }
    }

    var count: Int { entries.count }
    func id(_ index: Int) -> OperationID { entries[index].id }
    func tenant(_ index: Int) -> TenantID { entries[index].tenant }

    @_lifetime(borrow self)
    func body(_ index: Int) -> Span<UInt8> {
        let entry = entries[index]
        return bytes.span.extracting(entry.start..<entry.end)
    }

    /// Where a payment's body is; nil when there is none. Who asks for them in their order finds each at once.
    ///
    /// - Parameter place: where to look from; moves behind what was found.
    func find(_ id: OperationID, from place: inout Int) -> Int? {
        var index = place
        while index < entries.count {
            if entries[index].id == id {
                place = index + 1
                return index
            }
            index += 1
        }
        return nil
    }
}
