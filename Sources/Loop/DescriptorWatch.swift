internal import CLibevent

/// What a descriptor is ready for, or watched for.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let read = Readiness(rawValue: 1)
    public static let write = Readiness(rawValue: 2)
}

/// Watches one descriptor on a loop, level-triggered, and calls its handler when it is ready.
///
/// Does not own the descriptor: cancel the watch before closing it. After `cancel` the handler is not called again
/// (libevent may still report an event in the turn it was deleted in; the watch drops it), and whatever it captured is released.
@safe
public final class DescriptorWatch {
    public let descriptor: CInt
    private unowned let loop: EventLoop
    private var readEvent: OpaquePointer?
    private var writeEvent: OpaquePointer?
    private var handler: ((Readiness) -> Void)?

    /// What is watched. Setting it adds or removes only what changed.
    public var interest: Readiness = [] {
        didSet {
            guard handler != nil, interest != oldValue else { return }
            let changed = interest.symmetricDifference(oldValue)
            if changed.contains(.read), let event = unsafe readEvent { unsafe set(event, interest.contains(.read)) }
            if changed.contains(.write), let event = unsafe writeEvent { unsafe set(event, interest.contains(.write)) }
        }
    }

    /// Starts with no interest; set `interest` to begin.
    public init(loop: EventLoop, descriptor: CInt, onReady handler: @escaping (Readiness) -> Void) {
        self.loop = loop
        self.descriptor = descriptor
        self.handler = handler
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe readEvent = event_new(loop.base, descriptor, Int16(EV_READ | EV_PERSIST), descriptorIsReady, context)
        unsafe writeEvent = event_new(loop.base, descriptor, Int16(EV_WRITE | EV_PERSIST), descriptorIsReady, context)
        precondition(unsafe readEvent != nil && writeEvent != nil, "libevent made no event")
    }

    deinit { cancel() }

    /// Ends the watch. Safe to call twice, and from within the handler.
    public func cancel() {
        guard handler != nil else { return }
        handler = nil
        if let event = unsafe readEvent { unsafe event_free(event) }
        if let event = unsafe writeEvent { unsafe event_free(event) }
        unsafe readEvent = nil
        unsafe writeEvent = nil
    }

    fileprivate func isReady(_ readiness: Readiness) {
        // The handler may release the watch.
        let loop = loop
        loop.turnBegins()
        guard let handler, interest.contains(readiness) else { return }
        handler(readiness)
        loop.descriptorWasHandled()
    }

    private func set(_ event: OpaquePointer, _ wanted: Bool) {
        let code = unsafe wanted ? event_add(event, nil) : event_del(event)
        precondition(code == 0, "a descriptor that is not open was watched")
    }
}

/// The context is the watch, unretained: `deinit` frees the events before the memory goes.
private nonisolated func descriptorIsReady(_ descriptor: CInt, _ events: Int16, _ context: UnsafeMutableRawPointer?) {
    let watch = unsafe Unmanaged<DescriptorWatch>.fromOpaque(context!).takeUnretainedValue()
    watch.isReady(events & Int16(EV_READ) != 0 ? .read : .write)
}
