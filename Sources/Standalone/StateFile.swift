import Foundation

/// One process as `status` shows it.
public struct ProcessStatus: Sendable, Equatable, Codable {
    /// Such as `gateway-a`, `worker-1`, `postgres-primary`.
    public var name: String
    /// nil while it does not run.
    public var pid: Int32?
    /// Where clients reach it: `127.0.0.1:PORT` or `unix:PATH`.
    public var address: String
    /// Where `/healthz`, `/readyz` and `/metrics` are served; nil when it has no admin listener.
    public var admin: String?
    /// `waiting`, `starting`, `healthy`, `unhealthy`, `backing-off`, `stopping`, `stopped` or `stuck`.
    public var state: String
    /// How often it was started again.
    public var restarts: Int

    /// Every field is always written, an absent one as null, so that scripts can rely on the names.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(pid, forKey: .pid)
        try container.encode(address, forKey: .address)
        try container.encode(admin, forKey: .admin)
        try container.encode(state, forKey: .state)
        try container.encode(restarts, forKey: .restarts)
    }
}

/// What the supervisor writes into the data folder at every change, for `status`, for `down`, and for
/// the next `up` should this one be killed.
struct StateFile: Sendable, Equatable, Codable {
    struct Record: Sendable, Equatable, Codable {
        var status: ProcessStatus
        /// Tells the process from a later one with the same pid.
        var startTicks: UInt64?
        /// The first signal of its stop, for when the supervisor cannot send it any more.
        var stopSignal: Int32
    }

    /// `starting`, `running`, `stopping`, `stopped` or `failed`.
    var phase: String
    var supervisor: ProcessIdentity
    var runFolder: String
    /// Services in the order of their start; tasks are left out.
    var records: [Record]

    static func path(_ dataFolder: String) -> String { dataFolder + "/state.json" }

    /// nil when there is none or it cannot be understood: then nothing is known of the last run.
    static func read(dataFolder: String) -> StateFile? {
        guard let data = FileManager.default.contents(atPath: path(dataFolder)) else { return nil }
        return try? JSONDecoder().decode(StateFile.self, from: data)
    }

    func write(dataFolder: String) throws(StandaloneError) {
        try SystemCall.writeFile(StateFile.path(dataFolder), JSONText.encode(self), mode: 0o644)
    }
}

/// JSON as people read it: sorted keys, one member a line, slashes as they are.
enum JSONText {
    static func encode(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Plain structs of strings and integers: encoding them cannot fail.
        guard let data = try? encoder.encode(value) else { preconditionFailure("plain values encode") }
        return String(decoding: data, as: UTF8.self) + "\n"
    }
}
