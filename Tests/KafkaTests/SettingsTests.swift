import Kafka
import Loop
import Testing

@Suite struct SettingsTests {
    private func failure(
        _ extra: [(String, String)], change: (inout ProducerConfiguration) -> Void = { _ in }
    ) -> String? {
        let loop = EventLoop()
        var configuration = ProducerConfiguration(base: KafkaConfiguration(bootstrapServers: "127.0.0.1:1", extra: extra))
        change(&configuration)
        do throws(KafkaError) {
            _ = try Producer(loop: loop, configuration: configuration) { _, _ in }
        } catch {
            return error.description
        }
        return nil
    }

    @Test func `a setting that does not exist is named`() {
        #expect(failure([("linger.mss", "3")])?.contains("\"linger.mss\"") == true)
    }

    @Test func `a setting with a wrong value is named, with what is right`() {
        let text = failure([("compression.level", "lots")])
        #expect(text?.contains("\"compression.level\"") == true)
        #expect(failure([("linger.ms", "-5")])?.contains("\"linger.ms\"") == true)
        #expect(failure([("security.protocol", "none")])?.contains("\"security.protocol\"") == true)
    }

    @Test(arguments: [
        "acks", "request.required.acks", "enable.idempotence", "group.id", "enable.auto.commit", "auto.offset.reset",
        "partition.assignment.strategy",
    ])
    func `what the promises rest on cannot be set`(name: String) {
        let text = failure([(name, "1")])
        #expect(text?.contains("\"\(name)\"") == true)
        #expect(text?.contains("fixed") == true)
    }

    @Test func `settings that contradict each other are named`() {
        let text = failure([]) {
            $0.lingerMilliseconds = 900
            $0.deliveryTimeoutMilliseconds = 100
        }
        #expect(text?.contains("message.timeout.ms") == true)
    }

    @Test func `the value of a secret is not repeated`() {
        let text = failure([("ssl.key.pem", "hunter2"), ("security.protocol", "ssl")])
        #expect(text != nil)
        #expect(text?.contains("hunter2") == false)
    }

    @Test func `a consumer says so too`() {
        let loop = EventLoop()
        let configuration = ConsumerConfiguration(
            base: KafkaConfiguration(bootstrapServers: "127.0.0.1:1", extra: [("fetch.wait.max.ms", "soon")]), group: "g", topic: "t")
        let error = #expect(throws: KafkaError.self) {
            try Consumer(
                loop: loop, configuration: configuration, onAssigned: { _ in }, onRevoked: { _, _ in }, onRecords: { _ in },
                onError: { _, _ in })
        }
        #expect(error?.description.contains("\"fetch.wait.max.ms\"") == true)
        #expect(error?.isRetriable == false)
    }
}
