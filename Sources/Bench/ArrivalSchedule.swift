internal import Glibc

/// When requests should be sent, nanoseconds after the start. Endless, and it never looks at a clock.
///
/// It is its own queue: a time that is past and was not taken stays `next`, so that requests which wait for a connection need
/// no memory.
struct ArrivalSchedule {
    private let nanosecondsBetween: Double
    private let offset: Double
    private let isPoisson: Bool
    private var count = 0.0
    private var lastPoisson: Double
    private(set) var next: UInt64 = 0

    /// - Parameters:
    ///   - phase: 0 up to 1: by how much of a gap a constant schedule is shifted, so that those of several threads interleave.
    ///   - chance: for Poisson's gaps.
    init(perSecond: Double, arrivals: LoadOptions.Arrivals, phase: Double, chance: inout Chance) {
        precondition(perSecond > 0)
        nanosecondsBetween = 1e9 / perSecond
        offset = phase * nanosecondsBetween
        isPoisson = arrivals == .poisson
        lastPoisson = 0
        next = isPoisson ? 0 : UInt64(offset)
        if isPoisson { advance(&chance) }
    }

    /// Goes on to the next request's time.
    mutating func advance(_ chance: inout Chance) {
        if isPoisson {
            lastPoisson -= log(1 - Double.random(in: 0..<1, using: &chance)) * nanosecondsBetween
            next = UInt64(lastPoisson)
        } else {
            // By multiplication: added up, the rounding of each gap would drift.
            count += 1
            next = UInt64(count * nanosecondsBetween + offset)
        }
    }
}
