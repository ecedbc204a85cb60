internal import CLibpq

/// What one query answered: rows in PostgreSQL's binary format, or the number of rows it changed.
///
/// Rows and columns count from 0. Reading past the end, a NULL, or a column as another type than it has is a bug
/// and traps: SQL text and reader are written together. A copy shares the memory, which is freed with the last one.
@safe
public struct Rows {
    private let handle: ResultHandle

    init(_ handle: ResultHandle) { self.handle = handle }

    /// Rows returned.
    public var count: Int { unsafe Int(PQntuples(handle.pointer)) }
    public var isEmpty: Bool { count == 0 }
    public var columnCount: Int { unsafe Int(PQnfields(handle.pointer)) }

    /// Rows inserted, updated, deleted or selected; 0 for other commands.
    public var affectedRows: Int { unsafe Int(String(cString: PQcmdTuples(handle.pointer))) ?? 0 }

    public func columnName(_ column: Int) -> String {
        precondition(column >= 0 && column < columnCount, "no such column")
        return unsafe String(cString: PQfname(handle.pointer, CInt(column)))
    }

    public func isNull(_ row: Int, _ column: Int) -> Bool {
        precondition(row >= 0 && row < count && column >= 0 && column < columnCount, "no such row or column")
        return unsafe PQgetisnull(handle.pointer, CInt(row), CInt(column)) != 0
    }

    /// A `bigint`.
    public func int64(_ row: Int, _ column: Int) -> Int64 { integer(row, column, .int64) }
    /// An `integer`.
    public func int32(_ row: Int, _ column: Int) -> Int32 { integer(row, column, .int32) }
    /// A `smallint`.
    public func int16(_ row: Int, _ column: Int) -> Int16 { integer(row, column, .int16) }
    public func bool(_ row: Int, _ column: Int) -> Bool { integer(row, column, .bool) as UInt8 != 0 }

    /// A `timestamptz` as microseconds since 1970-01-01T00:00:00Z; traps on `infinity`.
    public func timestamp(_ row: Int, _ column: Int) -> Int64 {
        (integer(row, column, .timestamp) as Int64) + microsecondsFrom1970To2000
    }

    /// The first and the last 8 bytes, most significant first.
    public func uuid(_ row: Int, _ column: Int) -> (UInt64, UInt64) {
        let bytes = value(row, column, .uuid)
        return (Self.bigEndian(bytes.extracting(first: 8)), Self.bigEndian(bytes.extracting(last: 8)))
    }

    /// A `text`, `varchar`, `char`, `name` or `json`, or a `jsonb`'s text.
    public func text(_ row: Int, _ column: Int) -> String {
        let bytes = bytes(row, column)
        return unsafe bytes.withUnsafeBufferPointer { buffer in unsafe String(decoding: buffer, as: UTF8.self) }
    }

    /// The bytes of a `bytea` or of a text in UTF-8, borrowed from these rows.
    @_lifetime(borrow self)
    public func bytes(_ row: Int, _ column: Int) -> Span<UInt8> {
        let type = unsafe PQftype(handle.pointer, CInt(column))
        let bytes = cell(row, column)
        if type == PostgresType.jsonb.identifier {
            precondition(bytes[0] == jsonbVersion, "a jsonb of a version that is not known")
            return bytes.extracting(droppingFirst: 1)
        }
        precondition(type == PostgresType.bytea.identifier || PostgresType.isTextual(type), "a column that is neither text nor bytea")
        return bytes
    }

    private func integer<Integer: FixedWidthInteger>(_ row: Int, _ column: Int, _ type: PostgresType) -> Integer {
        let bytes = value(row, column, type)
        precondition(bytes.count == Integer.bitWidth / 8, "a value of another width than its type")
        return Self.bigEndian(bytes)
    }

    private static func bigEndian<Integer: FixedWidthInteger>(_ bytes: Span<UInt8>) -> Integer {
        unsafe bytes.withUnsafeBytes { unsafe Integer(bigEndian: $0.loadUnaligned(as: Integer.self)) }
    }

    @_lifetime(borrow self)
    private func value(_ row: Int, _ column: Int, _ type: PostgresType) -> Span<UInt8> {
        precondition(unsafe PQftype(handle.pointer, CInt(column)) == type.identifier, "a column of another type")
        return cell(row, column)
    }

    @_lifetime(borrow self)
    private func cell(_ row: Int, _ column: Int) -> Span<UInt8> {
        precondition(!isNull(row, column), "a NULL was read as a value")
        precondition(unsafe PQfformat(handle.pointer, CInt(column)) == 1, "a result in text format")
        let length = unsafe Int(PQgetlength(handle.pointer, CInt(row), CInt(column)))
        let start = unsafe UnsafeRawPointer(PQgetvalue(handle.pointer, CInt(row), CInt(column))!)
        let span = unsafe Span<UInt8>(_unsafeStart: start.assumingMemoryBound(to: UInt8.self), count: length)
        return unsafe _overrideLifetime(span, borrowing: self)
    }
}
