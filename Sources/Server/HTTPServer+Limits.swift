public import HTTP1

extension HTTPServer {
    /// What the driver may cost; what a connection may cost is in `ConnectionLimits`.
    public struct Limits: Sendable {
        public var connection = ConnectionLimits()
        /// Open connections where no quota is given; at the bound accepting pauses and clients wait in the kernel's backlog.
        public var connectionsMax = 20_000
        /// Of these from one address; those beyond are closed at once.
        public var connectionsPerAddressMax = 20_000
        /// Unfinished requests and unread answers of all connections together; beyond it those are closed that would be first to run
        /// out of time, until a quarter of it is free.
        public var bufferedBytesMax = 256 * 1024 * 1024
        /// Bytes read from one connection in one turn.
        public var readBytesMax = 16 * 1024
        /// Connections whose pipelined requests are taken up again in one turn; the others wait for the next one, in their order.
        public var resumedPerTurnMax = 16
        /// How often deadlines are looked at, milliseconds.
        public var sweepMilliseconds = 250

        public init() {}
    }
}
