public import Ledger
public import Postgres
internal import Telemetry

/// What a worker holds of a partition of the log: its place in it, and the epoch that proves it is still the owner.
public struct PartitionGrant: Equatable, Sendable {
    public let partition: Int32
    /// The first offset that is not applied.
    public let nextOffset: Int64
    /// The first offset whose outcome may not have been published.
    public let publishedOffset: Int64
    /// The first offset whose event may not be in `payments.events`.
    public let relayedOffset: Int64
    public let epoch: Int64
    /// The log that the offsets count in.
    public let logIncarnation: String
    /// No later decision of the partition may carry an earlier time.
    public let lastDecidedAt: Timestamp
    /// The line of the ledger's history that it goes on in (`Revision`, `009-line.sql`).
    public let line: Int64

    /// Who vouches for what is in Redis: rises with every owner, and with every line above all owners of the lines before, of whom a
    /// restored ledger knows only some.
    public var leaseEpoch: Int64 { line << Revision.countBits + epoch }

    public init(
        partition: Int32, nextOffset: Int64, publishedOffset: Int64, relayedOffset: Int64, epoch: Int64, logIncarnation: String,
        lastDecidedAt: Timestamp, line: Int64 = 0
    ) {
        self.partition = partition
        self.nextOffset = nextOffset
        self.publishedOffset = publishedOffset
        self.relayedOffset = relayedOffset
        self.epoch = epoch
        self.logIncarnation = logIncarnation
        self.lastDecidedAt = lastDecidedAt
        self.line = line
    }
}

/// A partition's place in the log as storage has it.
public struct PartitionPlace: Equatable, Sendable {
    public let partition: Int32
    public let nextOffset: Int64
    public let epoch: Int64
    /// The line of history that the ledger is in now: above a grant's where the database was promoted or restored since.
    public let line: Int64

    public init(partition: Int32, nextOffset: Int64, epoch: Int64, line: Int64 = 0) {
        self.partition = partition
        self.nextOffset = nextOffset
        self.epoch = epoch
        self.line = line
    }
}

/// How far a batch moves a partition. Stored only if storage still has `expectedOffset` under `epoch`.
public struct OffsetAdvance: Equatable, Sendable {
    public let partition: Int32
    public let epoch: Int64
    public let expectedOffset: Int64
    public let nextOffset: Int64
    public let publishedOffset: Int64
    public let relayedOffset: Int64
    public let lastDecidedAt: Timestamp

    public init(
        partition: Int32, epoch: Int64, expectedOffset: Int64, nextOffset: Int64, publishedOffset: Int64, relayedOffset: Int64,
        lastDecidedAt: Timestamp
    ) {
        self.partition = partition
        self.epoch = epoch
        self.expectedOffset = expectedOffset
        self.nextOffset = nextOffset
        self.publishedOffset = publishedOffset
        self.relayedOffset = relayedOffset
        self.lastDecidedAt = lastDecidedAt
    }
}

/// How far the owner of a partition has told of what it applied.
public struct PartitionNote: Equatable, Sendable {
    public let partition: Int32
    public let epoch: Int64
    public let publishedOffset: Int64
    public let relayedOffset: Int64

    public init(partition: Int32, epoch: Int64, publishedOffset: Int64, relayedOffset: Int64) {
        self.partition = partition
        self.epoch = epoch
        self.publishedOffset = publishedOffset
        self.relayedOffset = relayedOffset
    }
}

/// The statements by which a worker takes partitions over and moves on in them.
public enum PartitionQueries {
    /// Ends every earlier owner's epoch. A partition that has no row yet is not answered: `sluice migrate` makes the rows.
    public static func acquire(_ partitions: [Int32], owner: String, logIncarnation: String) -> Query {
        var parameters = Parameters()
        parameters.append(text: Topic.commands)
        parameters.append(array(partitions))
        parameters.append(text: owner)
        parameters.append(text: logIncarnation)
        return Query(acquireStatement, parameters)
    }

    public static func grants(_ rows: Rows) -> [PartitionGrant] {
        (0..<rows.count).map { row in
            PartitionGrant(
                partition: rows.int32(row, 0), nextOffset: rows.int64(row, 1), publishedOffset: rows.int64(row, 2),
                relayedOffset: rows.int64(row, 3), epoch: rows.int64(row, 4), logIncarnation: rows.text(row, 5),
                lastDecidedAt: Timestamp(microseconds: rows.timestamp(row, 6)), line: line(rows, row, 7))
        }
    }

    private static func line(_ rows: Rows, _ row: Int, _ column: Int) -> Int64 { min(rows.int64(row, column), Revision.lineMax) }

    /// Where the partitions stand: asked after a commit whose outcome is unknown, and on each new connection.
    public static func places(_ partitions: [Int32]) -> Query {
        var parameters = Parameters()
        parameters.append(text: Topic.commands)
        parameters.append(array(partitions))
        return Query(placesStatement, parameters)
    }

    public static func places(_ rows: Rows) -> [PartitionPlace] {
        (0..<rows.count).map { row in
            PartitionPlace(
                partition: rows.int32(row, 0), nextOffset: rows.int64(row, 1), epoch: rows.int64(row, 2), line: line(rows, row, 3))
        }
    }

    /// Moves the partitions on; SL001 when one of them is not where it was or is another owner's.
    static func advance(_ advances: [OffsetAdvance]) -> Query {
        var partitions = PostgresArray(of: .int32)
        var epochs = PostgresArray(of: .int64)
        var expected = PostgresArray(of: .int64)
        var next = PostgresArray(of: .int64)
        var published = PostgresArray(of: .int64)
        var relayed = PostgresArray(of: .int64)
        var decided = PostgresArray(of: .timestamp)
        for advance in advances {
            partitions.append(int32: advance.partition)
            epochs.append(int64: advance.epoch)
            expected.append(int64: advance.expectedOffset)
            next.append(int64: advance.nextOffset)
            published.append(int64: advance.publishedOffset)
            relayed.append(int64: advance.relayedOffset)
            decided.append(timestamp: advance.lastDecidedAt.microseconds)
        }
        var parameters = Parameters()
        parameters.append(text: Topic.commands)
        for column in [partitions, epochs, expected, next, published, relayed, decided] { parameters.append(column) }
        parameters.append(int64: Int64(advances.count))
        return Query(advanceStatement, parameters)
    }

    /// Notes how far outcomes are published and events relayed, while no batch carries it. What another owner has is left alone.
    public static func note(_ notes: [PartitionNote]) -> Query {
        var partitions = PostgresArray(of: .int32)
        var numbers = [PostgresArray](repeating: PostgresArray(of: .int64), count: 3)
        for note in notes {
            partitions.append(int32: note.partition)
            for (column, value) in [note.epoch, note.publishedOffset, note.relayedOffset].enumerated() {
                numbers[column].append(int64: value)
            }
        }
        var parameters = Parameters()
        parameters.append(text: Topic.commands)
        for column in [partitions] + numbers { parameters.append(column) }
        return Query(noteStatement, parameters)
    }

    static func array(_ values: [Int32]) -> PostgresArray {
        var array = PostgresArray(of: .int32)
        for value in values { array.append(int32: value) }
        return array
    }

    private static let noteStatement = Statement(
        "partition_note",
        """
        UPDATE sluice.kafka_offset o
        SET published_offset = greatest(o.published_offset, k.published_offset),
            relayed_offset = greatest(o.relayed_offset, k.relayed_offset)
        FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[]) AS k (partition, epoch, published_offset, relayed_offset)
        WHERE o.topic = $1::text AND o.partition = k.partition AND o.epoch = k.epoch
        """)

    // Rows are locked in the order of their numbers, so that two workers that take several over cannot deadlock.
    private static let acquireStatement = Statement(
        "partition_acquire",
        """
        WITH mine AS (
            SELECT topic, partition FROM sluice.kafka_offset WHERE topic = $1::text AND partition = ANY($2::integer[])
            ORDER BY partition FOR UPDATE)
        UPDATE sluice.kafka_offset o
        SET epoch = o.epoch + 1, owner = $3::text, log_incarnation = coalesce(o.log_incarnation, $4::text)
        FROM mine WHERE o.topic = mine.topic AND o.partition = mine.partition
        RETURNING o.partition, o.next_offset, o.published_offset, o.relayed_offset, o.epoch, o.log_incarnation, o.last_decided_at,
            sluice.line_now()
        """)

    private static let placesStatement = Statement(
        "partition_places",
        """
        SELECT partition, next_offset, epoch, sluice.line_now() FROM sluice.kafka_offset
        WHERE topic = $1::text AND partition = ANY($2::integer[])
        """)

    /// How far every partition is applied; read by `nextOffsets`.
    public static let allPlaces: Query = {
        var parameters = Parameters()
        parameters.append(text: Topic.commands)
        return Query(
            Statement(
                "partition_all_places",
                "SELECT partition, next_offset, coalesce(log_incarnation, '') FROM sluice.kafka_offset WHERE topic = $1::text"), parameters)
    }()

    /// With the incarnation of the log that the offset counts in.
    public static func nextOffsets(_ rows: Rows) -> [(partition: Int32, nextOffset: Int64, log: String)] {
        (0..<rows.count).map { (rows.int32($0, 0), rows.int64($0, 1), rows.text($0, 2)) }
    }

    private static let isUnguarded = SafetyCatch.offsets.isOff
    private static let nextOffset = isUnguarded ? "greatest(o.next_offset, k.next_offset)" : "k.next_offset"
    private static let standsWhereExpected = isUnguarded ? "" : "AND o.next_offset = k.expected_offset"

    private static let advanceStatement = Statement(
        "partition_advance",
        """
        WITH moved AS (
            UPDATE sluice.kafka_offset o
            SET next_offset = \(nextOffset), published_offset = greatest(o.published_offset, k.published_offset),
                relayed_offset = greatest(o.relayed_offset, k.relayed_offset), last_decided_at = greatest(o.last_decided_at, k.decided_at)
            FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[])
                AS k (partition, epoch, expected_offset, next_offset, published_offset, relayed_offset, decided_at)
            WHERE o.topic = $1::text AND o.partition = k.partition AND o.epoch = k.epoch \(standsWhereExpected)
            RETURNING 1)
        SELECT sluice.expect((SELECT count(*) FROM moved), $9::bigint, 'offsets moved')
        """)
}
