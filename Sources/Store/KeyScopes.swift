/// What an API key permits.
public struct KeyScopes: OptionSet, Sendable, CustomStringConvertible {
    public let rawValue: Int16

    /// `GET` and `HEAD`.
    public static let read = KeyScopes(rawValue: 1)
    /// Payments and what becomes of them: captures, voids, refunds.
    public static let pay = KeyScopes(rawValue: 2)
    /// Accounts: opening, freezing, limits, closing.
    public static let admin = KeyScopes(rawValue: 4)
    public static let all: KeyScopes = [.read, .pay, .admin]

    private static let names: [(name: String, scope: KeyScopes)] = [("read", .read), ("pay", .pay), ("admin", .admin)]

    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// From names separated by commas; nil when one is unknown, or there is none.
    public init?(names text: String) {
        self = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let known = Self.names.first(where: { $0.name == part }) else { return nil }
            insert(known.scope)
        }
    }

    public var description: String { Self.names.filter { contains($0.scope) }.map(\.name).joined(separator: ",") }
}
