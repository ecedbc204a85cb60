internal import Bytes
internal import Ledger

/// What a gateway tells the others of its tenants' quotas: how many requests it has let through since it last told.
///
/// A message on a channel of Redis that all gateways hear: `SENDER TENANT:WRITES:READS TENANT:WRITES:READS ...`. Nothing is kept and
/// nobody waits for it: while Redis is away each gateway counts by itself, and a message that is lost lets a tenant have a tenth of
/// a second's worth more.
enum SpentRequests {
    /// Among the channels that gateways may hear. No gateway's own is called so: those end with a thread's number.
    static let channel: StaticString = "w:quota"
    /// How often it is told, milliseconds.
    static let milliseconds: UInt64 = 100
    /// Tenants in one message at most, of writes and of reads each.
    static let tenantsMax = 4_096

    /// Encodes what was spent; leaves `output` empty when there is nothing to tell.
    ///
    /// - Parameter sender: tells a process's own messages from those of others.
    static func encode(
        sender: UInt64, writes: [(tenant: TenantID, count: Int)], reads: [(tenant: TenantID, count: Int)], to output: inout [UInt8]
    ) {
        output.removeAll(keepingCapacity: true)
        guard !writes.isEmpty || !reads.isEmpty else { return }
        output.append(hex: sender)
        for (tenant, count) in writes { append(tenant, writes: count, reads: 0, to: &output) }
        for (tenant, count) in reads { append(tenant, writes: 0, reads: count, to: &output) }
    }

    private static func append(_ tenant: TenantID, writes: Int, reads: Int, to output: inout [UInt8]) {
        output.append(UInt8(ascii: " "))
        output.append(decimal: tenant.rawValue)
        output.append(UInt8(ascii: ":"))
        output.append(decimal: Int64(writes))
        output.append(UInt8(ascii: ":"))
        output.append(decimal: Int64(reads))
    }

    /// Calls `body` with what each tenant has spent at another process. What cannot be read ends it.
    static func decode(
        _ message: Span<UInt8>, sender own: UInt64, _ body: (_ tenant: TenantID, _ writes: Int, _ reads: Int) -> Void
    ) {
        var prefix: [UInt8] = []
        prefix.append(hex: own)
        guard message.count > prefix.count, !message.extracting(0..<prefix.count).equals(prefix.span) else { return }
        var numbers = [3 of Int64](repeating: 0)
        var field = 0
        var digits = 0
        // The sender's name ends at the first space.
        for index in (prefix.count + 1)..<(message.count + 1) {
            let byte = index < message.count ? message[index] : UInt8(ascii: " ")
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9") where digits < 18:
                numbers[field] = numbers[field] * 10 + Int64(byte - UInt8(ascii: "0"))
                digits += 1
            case UInt8(ascii: ":") where digits > 0 && field < 2:
                field += 1
                digits = 0
            case UInt8(ascii: " ") where digits > 0 && field == 2:
                body(TenantID(numbers[0]), Int(numbers[1]), Int(numbers[2]))
                numbers = [3 of Int64](repeating: 0)
                field = 0
                digits = 0
            default: return
            }
        }
    }
}
