/// Vigna's splitmix64: 64 bits of state are enough for jitter, and a seed repeats a test. Not for secrets.
///
/// The system's generator is a system call each time, which a value written to a cache must not cost.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public init() { self.init(seed: UInt64.random(in: 0...UInt64.max)) }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
