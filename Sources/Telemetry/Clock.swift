internal import CSystem

/// Time from the machine's clocks. Rules of money never read it: time is passed to them.
public enum Clock {
    /// Nanoseconds from an arbitrary start; never goes back.
    public static var monotonicNanoseconds: UInt64 { sluice_clock_monotonic_nanoseconds() }

    /// Milliseconds from an arbitrary start; never goes back.
    public static var monotonicMilliseconds: UInt64 { sluice_clock_monotonic_nanoseconds() / 1_000_000 }

    /// Microseconds since 1970-01-01T00:00:00Z. Goes back when an operator sets the clock back.
    public static var wallMicroseconds: Int64 { sluice_clock_wall_microseconds() }
}
