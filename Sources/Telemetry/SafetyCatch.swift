internal import Glibc

/// What keeps money right, each of which a test may switch off to see that the loss it guards against is noticed without it.
///
/// SLUICE_SAFETY_OFF names them, separated by commas; a debug build reads it, a release build has none of it.
public enum SafetyCatch: String, Sendable {
    /// A command whose id was decided before is not decided again.
    case ids
    /// A batch is stored only where the partition stands.
    case offsets
    /// The log's word that a record is durable is waited for.
    case acknowledgements
    /// Not a guard but the fault for `offsets`: who takes a partition over is handed its last records again as if they were new.
    case redelivery

    @inline(__always)
    public var isOff: Bool {
        #if DEBUG
        return Self.off.contains(rawValue)
        #else
        return false
        #endif
    }

    /// The names that are switched off, as a process says at its start; nil where all stand.
    public static var allOff: String? {
        #if DEBUG
        return off.isEmpty ? nil : off.sorted().joined(separator: ",")
        #else
        return nil
        #endif
    }

    #if DEBUG
    private static let off: Set<String> = {
        guard let names = unsafe getenv("SLUICE_SAFETY_OFF") else { return [] }
        return Set(unsafe String(cString: names).split(separator: ",").map(String.init))
    }()
    #endif
}
