internal import Bytes
internal import Ledger
internal import Server

/// A read of what the ledger has, under way. Reused, with the memory it has grown to.
class LedgerRead {
    final private(set) var ticket: RequestTicket
    final private(set) var tenant = TenantID(0)
    final private(set) var partition: Int32 = 0
    /// What the client has seen: nothing older is shown.
    final private(set) var minRevision: Int64 = 0
    /// What Redis knows to exist: a replica that does not have it is behind.
    final var floor: Int64 = 0
    /// The client's `If-None-Match`; empty for none.
    final private(set) var ifNoneMatch: [UInt8] = []
    /// Until when replicas are asked again, monotonic milliseconds; 0 before the first was too old.
    final var patienceMilliseconds: UInt64 = 0
    /// What a database said after this instant, monotonic, answers the read.
    final var askedNanoseconds: UInt64 = 0

    init(ticket: RequestTicket) { self.ticket = ticket }

    final func begin(
        _ ticket: RequestTicket, of caller: CredentialTable.Caller, minRevision: Int64, ifNoneMatch tags: Span<UInt8>,
        nowNanoseconds now: UInt64
    ) {
        self.ticket = ticket
        tenant = caller.tenant
        partition = caller.partition
        self.minRevision = minRevision
        floor = 0
        patienceMilliseconds = 0
        askedNanoseconds = now
        ifNoneMatch.removeAll(keepingCapacity: true)
        ifNoneMatch.append(tags)
    }

    /// What a replica must have reached.
    final var required: Int64 { max(minRevision, floor) }
}
