/// An SQL command that is prepared once on each connection and then run by its name.
///
/// Make one `static let` for each: two statements with the same name must have the same text. What the server cannot
/// infer about a parameter's type the text says (`$1::bigint`), because values travel in binary and a wrong
/// guess is an error of class 22P03.
public struct Statement: Hashable, Sendable {
    /// Unique among the statements of a process; it shows in `pg_prepared_statements`.
    public let name: String
    /// One command, with parameters `$1` to `$n`.
    public let sql: String

    public init(_ name: StaticString, _ sql: String) {
        self.name = "\(name)"
        self.sql = sql
    }

    public static func == (left: Statement, right: Statement) -> Bool { left.name == right.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// A statement and the values for its parameters.
public struct Query: Sendable {
    public var statement: Statement
    public var parameters: Parameters

    public init(_ statement: Statement, _ parameters: Parameters = Parameters()) {
        self.statement = statement
        self.parameters = parameters
    }
}
