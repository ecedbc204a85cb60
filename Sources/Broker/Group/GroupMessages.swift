/// What the group coordinator is asked and answers, without their wire form.
struct JoinRequest: Equatable, Sendable {
    var group: String
    var sessionTimeoutMilliseconds: Int32
    var rebalanceTimeoutMilliseconds: Int32
    /// Empty for a new member.
    var member: String
    /// group.instance.id of a static member.
    var instance: String?
    var protocolType: String
    /// In the member's order of preference.
    var protocols: [(name: String, metadata: [UInt8])]
    /// From version 4 on a new dynamic member must first be given an id, so that a lost answer leaves no ghost.
    var requiresKnownId: Bool
    var client: String
    var host: String

    static func == (left: JoinRequest, right: JoinRequest) -> Bool {
        left.group == right.group && left.member == right.member && left.instance == right.instance
    }
}

struct JoinAnswer: Equatable, Sendable {
    struct Member: Equatable, Sendable {
        let id: String
        let instance: String?
        let metadata: [UInt8]
    }
    var error: ErrorCode = .none
    var generation: Int32 = -1
    var protocolName = ""
    var leader = ""
    var member = ""
    /// For the leader: everybody.
    var members: [Member] = []
}

struct SyncRequest: Equatable, Sendable {
    struct Assignment: Equatable, Sendable {
        let member: String
        let bytes: [UInt8]
    }
    var group: String
    var generation: Int32
    var member: String
    var instance: String?
    var assignments: [Assignment]
}

struct SyncAnswer: Equatable, Sendable {
    var error: ErrorCode = .none
    var assignment: [UInt8] = []
}

/// An answer that was kept back, for the request with this number.
enum GroupAction: Equatable, Sendable {
    case join(request: UInt64, JoinAnswer)
    case sync(request: UInt64, SyncAnswer)
}
