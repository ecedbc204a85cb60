internal import Glibc
internal import Telemetry

/// How long a command waits for servers that are still starting.
struct Patience {
    /// Between two attempts.
    static let pauseMicroseconds: UInt32 = 250_000

    private let deadline: UInt64
    private let say: (String) -> Void

    /// - Parameter say: gets a line the first time something has to be waited for.
    init(seconds: Int, say: @escaping (String) -> Void) {
        deadline = Clock.monotonicMilliseconds + UInt64(max(seconds, 0)) * 1_000
        self.say = say
    }

    /// Tries until it works, time is up, or trying again is of no use. The last error is thrown.
    func attempt<Result>(_ body: () throws(OperateError) -> Result) throws(OperateError) -> Result {
        var isSaid = false
        while true {
            do throws(OperateError) {
                return try body()
            } catch {
                guard error.isRetriable, Clock.monotonicMilliseconds < deadline else { throw error }
                if !isSaid { say("waiting: \(error)") }
                isSaid = true
                usleep(Self.pauseMicroseconds)
            }
        }
    }
}
