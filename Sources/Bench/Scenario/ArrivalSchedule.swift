internal import Glibc

/// When requests should be sent, nanoseconds after the start. It never looks at a clock.
///
/// Arrivals are places in the integral of the rate: one at each whole number for a constant schedule, at exponential
/// gaps of mean 1 for Poisson's, whatever the rate does. So a ramp has as many requests as its area, and no place's
/// rounding is carried on to the next.
///
/// It is its own queue: a time that is past and was not taken stays `next`, so that requests which wait for a connection need
/// no memory.
struct ArrivalSchedule {
    /// A stretch in which the rate changes evenly.
    private struct Segment {
        /// Seconds from the run's start, and the integral of the rate up to there.
        let start: Double
        let before: Double
        let seconds: Double
        /// Requests a second at its start, and by how much it rises each second.
        let rate: Double
        let slope: Double
        var area: Double { rate * seconds + slope * seconds * seconds / 2 }

        /// Seconds from its start at which the integral has grown by `area`. Solved for the root in the form that does
        /// not lose digits where the slope is small.
        func time(of area: Double) -> Double {
            // A ramp from nothing begins with its first request.
            guard area > 0 else { return 0 }
            let root = (rate * rate + 2 * slope * area).squareRoot()
            let sum = rate + (root.isNaN ? 0 : root)
            return sum > 0 ? min(2 * area / sum, seconds) : seconds
        }
    }

    private let segments: [Segment]
    private let total: Double
    private let offset: Double
    private let isPoisson: Bool
    private var segment = 0
    private var count = 0.0
    private var place = 0.0
    /// `UInt64.max` when there are no more.
    private(set) var next: UInt64 = 0

    /// - Parameters:
    ///   - perSecond: the rate of level 1.
    ///   - phase: 0 up to 1: by how much of a gap a constant schedule is shifted, so that those of several threads interleave.
    ///   - chance: for Poisson's gaps.
    init(perSecond: Double, phases: [LoadPhase], arrivals: LoadOptions.Arrivals, phase: Double, chance: inout Chance) {
        precondition(perSecond > 0)
        var segments: [Segment] = []
        var (start, area) = (0.0, 0.0)
        for phase in phases {
            let (from, to) = (phase.from * perSecond, phase.to * perSecond)
            let segment = Segment(start: start, before: area, seconds: phase.seconds, rate: from, slope: (to - from) / phase.seconds)
            segments.append(segment)
            start += phase.seconds
            area += segment.area
        }
        self.segments = segments
        total = area
        offset = phase
        isPoisson = arrivals == .poisson
        if isPoisson { advance(&chance) } else { settle(at: offset) }
    }

    /// Goes on to the next request's time.
    mutating func advance(_ chance: inout Chance) {
        if isPoisson {
            place -= log(1 - Double.random(in: 0..<1, using: &chance))
            settle(at: place)
        } else {
            // By counting: added up, the rounding of each gap would drift.
            count += 1
            settle(at: count + offset)
        }
    }

    private mutating func settle(at place: Double) {
        // A hair below the end is rounding, not a request.
        guard place < total - 1e-6 else {
            next = .max
            return
        }
        while segment < segments.count - 1, place >= segments[segment].before + segments[segment].area { segment += 1 }
        let here = segments[segment]
        next = UInt64((here.start + here.time(of: place - here.before)) * 1e9)
    }
}
