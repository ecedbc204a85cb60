import Testing

@testable import Standalone

@Suite struct OptionsTests {
    private func refusal(_ change: (inout StandaloneOptions) -> Void) -> String? {
        var options = StandaloneOptions()
        change(&options)
        do {
            try options.validate()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func `the defaults are valid`() {
        #expect(refusal { _ in } == nil)
    }

    @Test(arguments: ["", "/a b", "/a'b", "/a\"b", "/a;b", "/a$b", "/a\nb", "/a\\b", "/a{b", "/a#b"])
    func `a data folder that a configuration file cannot carry is refused by name`(path: String) {
        #expect(refusal { $0.dataFolder = path }?.hasPrefix("--data") == true)
    }

    @Test(arguments: [".sluice", "/var/tmp/sluice-1_2", "/home/žluť/x", "../x", "/a@b"])
    func `an ordinary data folder is accepted`(path: String) {
        #expect(refusal { $0.dataFolder = path } == nil)
    }

    @Test(arguments: [-1, 1, 1023, 65_436, 70_000])
    func `a port base outside of the range is refused`(base: Int) {
        #expect(refusal { $0.portBase = base }?.hasPrefix("--port-base \(base)") == true)
    }

    @Test(arguments: [0, 1024, 8080, 65_435])
    func `a port base inside of the range is accepted, and its last port exists`(base: Int) {
        #expect(refusal { $0.portBase = base } == nil)
        #expect(base + StandaloneOptions.portSpan <= 65_535)
    }

    @Test(arguments: [0, -3, 65])
    func `a number of threads outside of the range is refused`(threads: Int) {
        #expect(refusal { $0.gatewayThreads = threads }?.hasPrefix("--threads \(threads)") == true)
    }

    @Test func `the application without its servers is refused, and what is missing is named`() {
        #expect(refusal { $0.components = [.application, .redis] } == "--only application also needs: broker,postgres")
        #expect(refusal { $0.components = [] }?.contains("at least one") == true)
    }

    @Test func `a list of components is read, and an unknown one is not`() {
        #expect(StandaloneOptions.components("postgres,nginx") == [.postgres, .nginx])
        #expect(StandaloneOptions.components("postgres,") == nil)
        #expect(StandaloneOptions.components("postgress") == nil)
    }
}
