internal import CSystem
internal import Loop
internal import Synchronization

/// Sends a load to the API and measures it.
public enum Load {
    /// Runs on threads of its own and returns when all requests were answered or given up.
    ///
    /// - Parameter options: without a `problem`.
    public static func run(_ options: LoadOptions) -> LoadReport {
        precondition(options.problem == nil, options.problem ?? "")
        // A connection each, and what the process has open anyhow.
        _ = sluice_descriptor_limit_raise()
        let runID = String(UInt64.random(in: .min ... .max), radix: 16)
        let cpuBefore = sluice_process_cpu_microseconds()
        let sum = Sum()
        let threads = (0..<options.threads).map { thread in
            LoopThread(name: "bench-\(thread)") { loop in
                let generator = LoadGenerator(loop: loop, options: options, thread: thread, runID: runID)
                generator.run()
                sum.add(generator.counts)
            }
        }
        for thread in threads { thread.join() }
        let cpu = Double(sluice_process_cpu_microseconds() - cpuBefore) / 1e6
        return LoadReport(options, sum.total, cpuSeconds: cpu)
    }
}

/// Where threads add what they have counted.
private final class Sum: Sendable {
    private let counts = Mutex(LoadCounts())

    func add(_ other: LoadCounts) { counts.withLock { $0.add(other) } }
    var total: LoadCounts { counts.withLock { $0 } }
}
