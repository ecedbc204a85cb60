internal import Redis
internal import Store

extension CommandFlow.Marking {
    /// What Redis's answer says about a command's marker, which was set if there was none, or only looked at.
    init(of pending: PendingCommand, _ result: RedisResult, setsMarker: Bool) {
        self = .unavailable
        guard case .reply(let reply) = result else { return }
        switch reply.kind {
        case .null: self = setsMarker ? .fresh : .absent
        case .string:
            // What is no marker of ours says nothing about the key.
            guard let marker = Marker(reply.bytes) else { return }
            self = marker.fingerprint == pending.fingerprint ? .sameRequest : .otherRequest
            if self == .sameRequest { pending.takeAcceptedBody(marker.body) }
        case .integer, .status, .array, .error: return
        }
    }
}
