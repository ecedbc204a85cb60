/// Names a request that was handed out and is to be answered: valid until it is answered or its connection is gone.
public struct RequestTicket: Hashable, Sendable {
    let slot: UInt32
    let generation: UInt32
    let number: UInt32
}
