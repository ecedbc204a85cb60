/// What one connection may cost. Times are in milliseconds, sizes in bytes.
public struct ConnectionLimits: Sendable {
    public var request = RequestLimits()
    /// Requests handed out whose answers are not all written yet; at most `ConnectionMachine.pipelineCapacity`.
    /// At the bound the connection is not read.
    public var pipelinedRequestsMax = 8
    /// Requests begun in one turn of the driver; what else has arrived waits until the other connections had theirs. A client that sends
    /// one at a time does not meet it.
    public var pipelinedPerTurnMax = 4
    /// Requests served before the connection is closed, so that clients spread anew over gateways and threads.
    public var requestsPerConnectionMax = 10_000
    /// From the first byte of a request to the last one of its body; then 408.
    public var requestMilliseconds: UInt64 = 10_000
    /// From the last written answer, or the accept, to the first byte of a request; then a silent close.
    public var idleMilliseconds: UInt64 = 75_000
    /// From the first write that the socket did not take whole to the last of its bytes; then a close.
    public var writeMilliseconds: UInt64 = 10_000
    /// How long a closing connection is still read and its bytes thrown away, so that the answer is not lost to
    /// a reset (RFC 9112 section 9.6).
    public var lingerMilliseconds: UInt64 = 1_000
    /// How many bytes are thrown away meanwhile.
    public var lingerBytesMax = 256 * 1024
    /// How long a connection that waits for a request is kept when the process is going to stop. Whoever sends one meanwhile is
    /// answered, with `Connection: close`; a connection that is closed while a request is under way to it loses that request.
    public var drainIdleMilliseconds: UInt64 = 3_000
    /// Answer bytes that the socket has not taken; a slow reader is closed beyond.
    public var unwrittenBytesMax = 4 * 1024 * 1024
    /// Answer bytes that are gathered for one write; beyond them they are written before the next pipelined request is begun, so that a
    /// client which does not read is answered no more than that.
    public var gatheredBytesMax = 64 * 1024
    /// Answer bytes that the socket takes beyond what the client's window has room for. Whoever reads slowly has them in the kernel's
    /// memory, and is not seen to be slow before.
    public var unsentBytesMax = 128 * 1024

    public init() {}

    /// A sentence on the first limit that cannot work, nil when all can.
    public var problem: String? {
        if let problem = request.problem { return problem }
        let capacity = ConnectionMachine.pipelineCapacity
        if pipelinedRequestsMax < 1 || pipelinedRequestsMax > capacity {
            return "The limit of pipelined requests must be 1 to \(capacity), not \(pipelinedRequestsMax)."
        }
        if pipelinedPerTurnMax < 1 || pipelinedPerTurnMax > capacity {
            return "The limit of requests begun in a turn must be 1 to \(capacity), not \(pipelinedPerTurnMax)."
        }
        if requestsPerConnectionMax < 1 || requestsPerConnectionMax > 1 << 30 {
            return "The limit of requests per connection must be 1 to 2^30, not \(requestsPerConnectionMax)."
        }
        let times = [requestMilliseconds, idleMilliseconds, writeMilliseconds, lingerMilliseconds, drainIdleMilliseconds]
        if times.contains(where: { $0 < 1 || $0 > 86_400_000 }) {
            return "The time limits of a connection must be 1 ms to a day."
        }
        if lingerBytesMax < 0 || unwrittenBytesMax < 1 || gatheredBytesMax < 1 || unsentBytesMax < 1 || unsentBytesMax > 1 << 30 {
            return "The limits of discarded, unwritten, gathered and unsent bytes must be positive, the last one at most 2^30."
        }
        return nil
    }
}
