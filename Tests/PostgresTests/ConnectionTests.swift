import Bytes
import Postgres
import Testing

@testable import TestSupport

@Suite struct ConnectionTests {
    let connection: PostgresConnection

    init() throws { connection = try TestServer.shared.connect() }

    @Test func `scalars of every type come back as they went`() throws {
        var parameters = Parameters()
        parameters.append(int64: .min)
        parameters.append(int32: .max)
        parameters.append(int16: -2)
        parameters.append(bool: true)
        parameters.append(text: "h\u{e9}llo 'quoted' \"double\" \\ \u{1F4B8}")
        parameters.append(uuid: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)
        parameters.append(bytea: [0, 255, 0, 39])
        parameters.append(timestamp: 1_700_000_000_123_456)
        parameters.append(jsonb: #"{"a": [1, null, "x"]}"#)
        parameters.appendNull(.int64)
        parameters.append(text: "")
        parameters.append(bytea: [])
        let rows = try connection.query(
            "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $6::text, extract(epoch FROM $8)::text", parameters)
        #expect(rows.count == 1 && rows.columnCount == 14 && rows.affectedRows == 1)
        #expect(rows.int64(0, 0) == .min)
        #expect(rows.int32(0, 1) == .max)
        #expect(rows.int16(0, 2) == -2)
        #expect(rows.bool(0, 3))
        #expect(rows.text(0, 4) == "h\u{e9}llo 'quoted' \"double\" \\ \u{1F4B8}")
        #expect(rows.uuid(0, 5) == (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210))
        #expect(array(of: rows.bytes(0, 6)) == [0, 255, 0, 39])
        #expect(rows.timestamp(0, 7) == 1_700_000_000_123_456)
        #expect(rows.text(0, 8) == #"{"a": [1, null, "x"]}"#)
        #expect(rows.isNull(0, 9))
        #expect(!rows.isNull(0, 10) && rows.text(0, 10) == "")
        #expect(!rows.isNull(0, 11) && rows.bytes(0, 11).isEmpty)
        // The server's own reading of the same bytes.
        #expect(rows.text(0, 12) == "01234567-89ab-cdef-fedc-ba9876543210")
        #expect(rows.text(0, 13) == "1700000000.123456")
    }

    @Test func `arrays of every type arrive element by element`() throws {
        var parameters = Parameters()
        parameters.append(int64Array: [1, -2, .max] as [Int64])
        parameters.append(int32Array: [7, nil, -7])
        parameters.append(int16Array: [1, 2, 3])
        parameters.append(boolArray: [true, nil, false])
        parameters.append(textArray: ["", "NULL", "a'b\"c\\d,{}\u{20ac}"])
        parameters.append(textArray: ["x", nil, "z"])
        parameters.append(uuidArray: [(1, 2), nil, (3, 4)])
        parameters.append(timestampArray: [0, nil, 1_700_000_000_000_001])
        parameters.append(byteaArray: [[], nil, [0, 1]])
        parameters.append(jsonbArray: ["{}", nil, #"{"k":"v\"\u20ac"}"#])
        parameters.append(int64Array: [nil, nil, 5])
        let rows = try connection.query("SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", parameters)
        #expect(rows.count == 3)
        #expect((0..<3).map { rows.int64($0, 0) } == [1, -2, .max])
        #expect(rows.int32(0, 1) == 7 && rows.isNull(1, 1) && rows.int32(2, 1) == -7)
        #expect((0..<3).map { rows.int16($0, 2) } == [1, 2, 3])
        #expect(rows.bool(0, 3) && rows.isNull(1, 3) && !rows.bool(2, 3))
        #expect((0..<3).map { rows.text($0, 4) } == ["", "NULL", "a'b\"c\\d,{}\u{20ac}"])
        #expect(rows.text(0, 5) == "x" && rows.isNull(1, 5) && rows.text(2, 5) == "z")
        #expect(rows.uuid(0, 6) == (1, 2) && rows.isNull(1, 6) && rows.uuid(2, 6) == (3, 4))
        #expect(rows.timestamp(0, 7) == 0 && rows.isNull(1, 7) && rows.timestamp(2, 7) == 1_700_000_000_000_001)
        #expect(rows.bytes(0, 8).isEmpty && rows.isNull(1, 8) && array(of: rows.bytes(2, 8)) == [0, 1])
        #expect(rows.text(0, 9) == "{}" && rows.isNull(1, 9) && rows.text(2, 9) == #"{"k": "v\"€"}"#)
        #expect(rows.isNull(0, 10) && rows.isNull(1, 10) && rows.int64(2, 10) == 5)
    }

    @Test func `empty arrays are empty, not null`() throws {
        var parameters = Parameters()
        parameters.append(int64Array: [] as [Int64])
        parameters.append(textArray: [] as [String])
        parameters.append(uuidArray: [] as [(UInt64, UInt64)])
        let rows = try connection.query("SELECT cardinality($1), cardinality($2), cardinality($3), 5 = ANY($1)", parameters)
        #expect((0..<3).map { rows.int32(0, $0) } == [0, 0, 0])
        #expect(!rows.bool(0, 3))
    }

    @Test func `a builder that was emptied holds only what came after`() throws {
        var array = PostgresArray(of: .text)
        var parameters = Parameters()
        for round in 0..<3 {
            array.removeAll()
            parameters.removeAll()
            array.append(text: "round \(round)")
            let bytes: [UInt8] = Array("span".utf8)
            array.append(text: bytes.span)
            array.appendNull()
            parameters.append(array)
            let rows = try connection.query("SELECT array_to_string($1, '|', 'null')", parameters)
            #expect(rows.text(0, 0) == "round \(round)|span|null")
        }
    }

    @Test func `text that is not UTF-8 or holds a NUL is refused as data`() throws {
        for bytes: [UInt8] in [[0xff], [0x41, 0]] {
            var parameters = Parameters()
            parameters.append(text: bytes.span)
            let error = try #require(throws: PostgresError.self) { try connection.query("SELECT $1", parameters) }
            guard case .serverError(let state, _, _) = error else { throw error }
            #expect(state == "22021")
            #expect(error.recovery == .dataRefused)
        }
    }

    @Test func `an error carries its state, message and detail`() throws {
        try connection.run("CREATE TEMP TABLE unique_numbers (n bigint PRIMARY KEY); INSERT INTO unique_numbers VALUES (1)")
        let error = #expect(throws: PostgresError.self) { try connection.query("INSERT INTO unique_numbers VALUES (1)") }
        #expect(
            error
                == .serverError(
                    sqlState: "23505", message: "duplicate key value violates unique constraint \"unique_numbers_pkey\"",
                    detail: "Key (n)=(1) already exists."))
        #expect(error?.recovery == .dataRefused)
    }

    @Test func `a script with an error has no effect`() throws {
        #expect(throws: PostgresError.self) { try connection.run("CREATE TABLE half_done (n int); SELECT 1/0") }
        #expect(try connection.query("SELECT to_regclass('half_done') IS NULL").bool(0, 0))
    }

    @Test func `a transaction commits, or rolls back when its body throws`() throws {
        try connection.run("CREATE TEMP TABLE kept (n int)")
        try connection.transaction { () throws(PostgresError) in try connection.run("INSERT INTO kept VALUES (1)") }
        #expect(throws: PostgresError.self) {
            try connection.transaction { () throws(PostgresError) in
                try connection.run("INSERT INTO kept VALUES (2)")
                try connection.run("SELECT 1/0")
            }
        }
        // A body that swallows an error would otherwise see its rolled-back work reported as committed.
        #expect(throws: PostgresError.self) {
            try connection.transaction { () throws(PostgresError) in
                try connection.run("INSERT INTO kept VALUES (3)")
                try? connection.run("SELECT 1/0")
            }
        }
        #expect(!connection.isInTransaction)
        #expect(try connection.query("SELECT array_agg(n)::text FROM kept").text(0, 0) == "{1}")
    }

    @Test(arguments: [0, 1, 99, 100, 101, 1_000])
    func `a stream hands out every row once and in order`(count: Int) throws {
        var parameters = Parameters()
        parameters.append(int64: Int64(count))
        var seen: [Int64] = []
        try connection.stream("SELECT n FROM generate_series(1, $1) AS n ORDER BY n", parameters, rowsPerFetch: 100) {
            seen.append($0.int64(0))
        }
        #expect(seen == (0..<count).map { Int64($0 + 1) })
        #expect(!connection.isInTransaction)
    }

    @Test func `a stream can be left early, and streams nest`() throws {
        struct Pair: Equatable { let a: Int64, b: Int64 }
        var seen: [Pair] = []
        let error = #expect(throws: PostgresError.self) {
            try connection.transaction { () throws(PostgresError) in
                try connection.stream("SELECT n FROM generate_series(1, 3::bigint) AS n", rowsPerFetch: 1) { outer throws(PostgresError) in
                    try connection.stream("SELECT n FROM generate_series(1, 2::bigint) AS n", rowsPerFetch: 1) {
                        inner throws(PostgresError) in
                        seen.append(Pair(a: outer.int64(0), b: inner.int64(0)))
                        if outer.int64(0) == 2 { throw .cancelled }
                    }
                }
            }
        }
        #expect(error == .cancelled)
        #expect(seen == [Pair(a: 1, b: 1), Pair(a: 1, b: 2), Pair(a: 2, b: 1)])
        #expect(try connection.query("SELECT 1").int32(0, 0) == 1)
    }

    @Test func `a wrong password and no password are said so`() throws {
        let server = TestServer.shared
        let string = "hostaddr=127.0.0.1 port=\(server.port) user=with_password dbname=postgres passfile=/nonexistent"
        #expect(try PostgresConnection(string + " password=right").query("SELECT current_user::text").text(0, 0) == "with_password")
        for (suffix, words) in [
            (" password=wrong", "password authentication failed for user \"with_password\""), ("", "no password supplied"),
        ] {
            guard
                case .connectFailed(let message)? = #expect(
                    throws: PostgresError.self, performing: { try PostgresConnection(string + suffix) })
            else { continue }
            #expect(message.contains(words))
        }
    }

    @Test func `a string that libpq cannot read is refused with its words`() {
        let configuration = PostgresConfiguration(connectionString: "host=")
        #expect(throws: Never.self) { try configuration.validate() }
        let error = #expect(throws: PostgresError.self) { try PostgresConfiguration(connectionString: "no_such_option=1").validate() }
        #expect(error == .connectFailed(message: "invalid connection option \"no_such_option\""))
    }

    @Test func `a connection that was ended is lost`() throws {
        let other = try TestServer.shared.connect()
        try connection.run("SELECT pg_terminate_backend(\(other.serverProcess))")
        #expect(throws: PostgresError.self) { try other.query("SELECT 1") }
        let error = #expect(throws: PostgresError.self) { try other.query("SELECT 1") }
        #expect(error == .lost(afterSending: true))
    }
}

private func array(of span: borrowing Span<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(copy span)
    return bytes
}
