public import Redis

/// The functions that keep Redis from going back in time (`infra/redis/sluice.lua`).
public enum RedisFunctions {
    /// Loads the library; run on each new connection, safe to repeat.
    public static let setUp: [[String]] = [["FUNCTION", "LOAD", "REPLACE", String(decoding: PackageResources.sluice_lua, as: UTF8.self)]]

    /// The worker's write after a commit.
    public static func encodePut(
        key: Span<UInt8>, revision: Int64, body: Span<UInt8>, lifetimeMilliseconds: Int, into command: inout CommandBuffer
    ) {
        command.begin(argumentCount: 8)
        command.append("FCALL")
        command.append("sluice_put")
        command.append("1")
        command.append(key)
        command.append(decimal: revision)
        command.append(body)
        command.append(decimal: Int64(lifetimeMilliseconds))
        command.append(decimal: Int64(CacheLifetime.floorMilliseconds))
    }

    /// Takes away the marker of a command that was not produced, unless another attempt was accepted since.
    public static func encodeUnmark(key: Span<UInt8>, into command: inout CommandBuffer) {
        command.begin(argumentCount: 5)
        command.append("FCALL")
        command.append("sluice_unmark")
        command.append("1")
        command.append(key)
        command.append(decimal: Int64(CacheLifetime.markerMilliseconds))
    }

    /// A reader's fill after a miss.
    public static func encodeFill(
        key: Span<UInt8>, revision: Int64, body: Span<UInt8>, lifetimeMilliseconds: Int, into command: inout CommandBuffer
    ) {
        command.begin(argumentCount: 7)
        command.append("FCALL")
        command.append("sluice_fill")
        command.append("1")
        command.append(key)
        command.append(decimal: revision)
        command.append(body)
        command.append(decimal: Int64(lifetimeMilliseconds))
    }
}
