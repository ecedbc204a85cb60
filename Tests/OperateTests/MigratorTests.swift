import Kafka
import Postgres
import Store
import Testing

@testable import Operate
@testable import TestSupport

/// `sluice migrate` as a whole, against a real database and a real broker.
@Suite(.serialized) struct MigratorTests {
    private func migrator(_ database: TestDatabase, _ broker: Broker) -> Migrator {
        var migrator = Migrator(
            database: PostgresConfiguration(connectionString: database.connectionString),
            kafka: KafkaConfiguration(bootstrapServers: broker.bootstrapServers))
        migrator.waitSeconds = 20
        return migrator
    }

    @Test func `a first run makes everything and a second one nothing`() throws {
        let database = try TestDatabase()
        let broker = try Broker()
        var migrator = migrator(database, broker)
        migrator.partitions = 3
        try migrator.run { _ in }
        for (topic, count) in [(Topic.commands, 3), (Topic.events, 3), (Topic.dead, 1)] {
            #expect(try KafkaAdmin.topic(migrator.kafka, name: topic)?.partitions.count == count)
        }
        #expect(try OffsetRows.read(database.connection).map(\.partition) == [0, 1, 2])

        migrator.partitions = nil
        var lines: [String] = []
        try migrator.run { lines.append($0) }
        #expect(lines == ["schema: up to date", "partitions: 3"])

        migrator.partitions = 4
        #expect { try migrator.run { _ in } } throws: { "\($0)".contains("has 3 partitions where 4 are wanted") }
    }

    @Test func `offsets of another log are refused`() throws {
        let database = try TestDatabase()
        let broker = try Broker()
        let migrator = migrator(database, broker)
        try migrator.run { _ in }
        try database.connection.run("UPDATE sluice.kafka_offset SET log_incarnation = 'another', next_offset = 7 WHERE partition = 2")
        #expect { try migrator.run { _ in } } throws: { "\($0)".contains("offsets count in log another") }
    }

    @Test func `a database that is away is waited for and then given up`() throws {
        let broker = try Broker()
        var migrator = Migrator(
            database: PostgresConfiguration(connectionString: "host=/nonexistent dbname=sluice"),
            kafka: KafkaConfiguration(bootstrapServers: broker.bootstrapServers))
        migrator.waitSeconds = 1
        var lines: [String] = []
        #expect(throws: OperateError.self) { try migrator.run { lines.append($0) } }
        #expect(lines.count == 1 && lines[0].hasPrefix("waiting: PostgreSQL: "))
    }
}
