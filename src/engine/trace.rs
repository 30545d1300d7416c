//! A timeline of what the host and the device did, in Chrome's trace format, which `chrome://tracing` and
//! Perfetto open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use serde_json::{Value, json};

/// Records spans from any thread; a trace that is off records nothing and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Arc<Recorded>>);

#[derive(Debug)]
struct Recorded {
    begun: Instant,
    /// The thread that began it.
    main: ThreadId,
    spans: Mutex<Vec<Span>>,
}

/// Who was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// The host's thread.
    Host,
    /// The thread that starts the next wave.
    Planner,
    /// The thread that writes records.
    Records,
    /// The device, by its own timestamps.
    Device,
}

impl Track {
    fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Planner => "next wave",
            Self::Records => "records",
            Self::Device => "device",
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Host => 1,
            Self::Device => 2,
            Self::Records => 3,
            Self::Planner => 4,
        }
    }
}

/// Something that took from one time to another, in seconds since the trace began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// What.
    pub name: &'static str,
    /// Who.
    pub track: Track,
    /// Begin.
    pub begin_s: f64,
    /// End.
    pub end_s: f64,
}

/// Ends its span when it goes.
#[derive(Debug)]
pub struct Running<'t> {
    trace: &'t Trace,
    track: Track,
    name: &'static str,
    begun: Option<Instant>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            let (begin_s, end_s) = (
                self.trace.seconds(begun),
                self.trace.seconds(Instant::now()),
            );
            self.trace.add(Span {
                name: self.name,
                track: self.track,
                begin_s,
                end_s,
            });
        }
    }
}

impl Trace {
    /// A trace that begins now.
    pub fn begin() -> Self {
        Self(Some(Arc::new(Recorded {
            begun: Instant::now(),
            main: thread::current().id(),
            spans: Mutex::default(),
        })))
    }

    /// Something is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A span of the host, until what is returned goes: of the thread that began the trace, or of the one that starts
    /// the next wave.
    pub fn host(&self, name: &'static str) -> Running<'_> {
        let main = |recorded: &Arc<Recorded>| recorded.main == thread::current().id();
        let track = match self.0.as_ref().is_none_or(main) {
            true => Track::Host,
            false => Track::Planner,
        };
        self.span(track, name)
    }

    /// A span of the thread that writes records, until what is returned goes.
    pub fn records(&self, name: &'static str) -> Running<'_> {
        self.span(Track::Records, name)
    }

    fn span(&self, track: Track, name: &'static str) -> Running<'_> {
        Running {
            trace: self,
            track,
            name,
            begun: self.0.as_ref().map(|_| Instant::now()),
        }
    }

    /// Adds a span.
    pub fn add(&self, span: Span) {
        if let Some(recorded) = &self.0 {
            recorded.spans().push(span);
        }
    }

    /// A time as seconds since the trace began; 0 where nothing is recorded.
    pub fn seconds(&self, at: Instant) -> f64 {
        let begun = self.0.as_ref().map(|recorded| recorded.begun);
        begun.map_or(0.0, |begun| {
            at.saturating_duration_since(begun).as_secs_f64()
        })
    }

    /// All spans so far, by their begin.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = self
            .0
            .as_ref()
            .map_or(Vec::new(), |recorded| recorded.spans().clone());
        spans.sort_by(|a, b| a.begin_s.total_cmp(&b.begin_s));
        spans
    }

    /// How busy the device was between its first span and its last; `None` where it has none.
    pub fn busy(&self) -> Option<Busy> {
        let spans = self.spans();
        let device = spans.iter().filter(|span| span.track == Track::Device);
        let mut busy: Option<Busy> = None;
        let (mut first_s, mut until_s) = (0.0, 0.0_f64);
        for span in device {
            let busy = busy.get_or_insert_with(|| {
                (first_s, until_s) = (span.begin_s, span.begin_s);
                Busy::default()
            });
            // Passes may overlap.
            busy.busy_s += (span.end_s - until_s.max(span.begin_s)).max(0.0);
            until_s = until_s.max(span.end_s);
            busy.wall_s = until_s - first_s;
        }
        busy
    }

    /// The trace as JSON: an object with `traceEvents` (complete events, in microseconds) and `device_busy`,
    /// the share, or null where the device has no timestamps.
    pub fn json(&self) -> Value {
        let track = |track: Track| {
            json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": track.number(),
                "args": {"name": track.name()}})
        };
        let event = |span: &Span| {
            json!({"ph": "X", "name": span.name, "cat": span.track.name(), "pid": 1,
                "tid": span.track.number(), "ts": span.begin_s * 1e6,
                "dur": (span.end_s - span.begin_s) * 1e6})
        };
        let tracks = [Track::Host, Track::Device, Track::Records, Track::Planner];
        let mut events = tracks.map(track).to_vec();
        events.extend(self.spans().iter().map(event));
        json!({
            "displayTimeUnit": "ms",
            "device_busy": self.busy().map(Busy::share),
            "traceEvents": events,
        })
    }
}

impl Recorded {
    fn spans(&self) -> MutexGuard<'_, Vec<Span>> {
        // A list of spans is never half done.
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How busy a device was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Busy {
    /// Seconds at work.
    pub busy_s: f64,
    /// Seconds from the first begin to the last end.
    pub wall_s: f64,
}

impl Busy {
    /// Share of the time.
    pub fn share(self) -> f64 {
        if self.wall_s > 0.0 {
            self.busy_s / self.wall_s
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(begin_s: f64, end_s: f64) -> Span {
        Span {
            name: "pass",
            track: Track::Device,
            begin_s,
            end_s,
        }
    }

    #[test]
    fn the_device_is_busy_where_a_span_of_it_is() {
        let trace = Trace::begin();
        assert_eq!(trace.busy(), None);
        trace.add(Span {
            track: Track::Host,
            ..device(0.0, 100.0)
        });
        for (begin_s, end_s) in [(6.0, 7.0), (1.0, 3.0), (2.0, 4.0), (2.5, 3.0), (8.0, 9.0)] {
            trace.add(device(begin_s, end_s));
        }
        let busy = trace.busy().unwrap();
        assert_eq!((busy.busy_s, busy.wall_s), (5.0, 8.0));
        assert_eq!(busy.share(), 0.625);
        assert_eq!(trace.json()["device_busy"], 0.625);
    }

    #[test]
    fn spans_of_the_host_last_until_they_go() {
        let trace = Trace::begin();
        {
            let _outer = trace.host("outer");
            drop(trace.host("inner"));
        }
        let spans = trace.spans();
        assert_eq!([spans[0].name, spans[1].name], ["outer", "inner"]);
        assert!(spans[0].end_s >= spans[1].end_s);
        let events = trace.json()["traceEvents"].as_array().unwrap().len();
        assert_eq!(events, 2 + 4, "four names of tracks");
    }

    #[test]
    fn another_thread_has_a_track_of_its_own() {
        let trace = Trace::begin();
        drop(trace.host("here"));
        thread::scope(|scope| {
            scope.spawn(|| drop(trace.host("there")));
        });
        let spans: Vec<(&str, Track)> = trace.spans().iter().map(|s| (s.name, s.track)).collect();
        assert_eq!(spans, [("here", Track::Host), ("there", Track::Planner)]);
    }

    #[test]
    fn a_trace_that_is_off_holds_nothing() {
        let trace = Trace::default();
        drop(trace.host("something"));
        trace.add(device(0.0, 1.0));
        assert!(!trace.is_on() && trace.spans().is_empty());
    }
}
