/// A PostgreSQL type that parameters and columns have here, by its identifier in `pg_type`: those of built-in types
/// are part of the protocol and never change.
public struct PostgresType: Hashable, Sendable {
    /// The row's `oid` in `pg_type`.
    public let identifier: UInt32
    /// The same of its array type; 0 where arrays are not supported.
    let arrayIdentifier: UInt32

    private init(_ identifier: UInt32, array: UInt32) {
        self.identifier = identifier
        arrayIdentifier = array
    }

    public static let bool = PostgresType(16, array: 1000)
    public static let bytea = PostgresType(17, array: 1001)
    /// `bigint`
    public static let int64 = PostgresType(20, array: 1016)
    /// `smallint`
    public static let int16 = PostgresType(21, array: 1005)
    /// `integer`
    public static let int32 = PostgresType(23, array: 1007)
    public static let text = PostgresType(25, array: 1009)
    /// `timestamptz`
    public static let timestamp = PostgresType(1184, array: 1185)
    public static let uuid = PostgresType(2950, array: 2951)
    public static let jsonb = PostgresType(3802, array: 3807)

    /// The type whose values are arrays of this one.
    public var array: PostgresType {
        precondition(arrayIdentifier != 0, "arrays of arrays are not a type")
        return PostgresType(arrayIdentifier, array: 0)
    }

    /// Types whose binary form is the text itself: `text`, `varchar`, `bpchar`, `name`, `"char"`, `json`, `unknown`.
    static func isTextual(_ identifier: UInt32) -> Bool {
        switch identifier {
        case 25, 1043, 1042, 19, 18, 114, 705: true
        default: false
        }
    }
}
