//! Both halves in one process, on two threads and a real pipe, with a source and a destination that fail where a test
//! wants it.

use super::feed::Feed;
use super::half::Half;
use super::verdict::Outlook;
use super::{reader, writer};
use crate::api::{Aftermath, Error, ErrorKind, Outcome, Request, Role, SourceChange, Stop, Verify};
use crate::dest::fake::FakeDestination;
use crate::digest::{Digest, Kind};
use crate::record::ResumePoint;
use crate::session::{Place, Seat};
use crate::source::fake::FakeSource;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// What both halves came to, and the destination afterwards.
struct Copied {
    reader: Result<Outcome, Error>,
    writer: Result<Outcome, Error>,
    destination: FakeDestination,
}

impl Copied {
    fn kinds(&self) -> [Option<ErrorKind>; 2] {
        [&self.reader, &self.writer].map(|half| half.as_ref().err().map(|error| error.kind.clone()))
    }
}

fn copy(request: &Request, mut source: FakeSource, mut destination: FakeDestination) -> Copied {
    static COPIES: AtomicU32 = AtomicU32::new(0);
    let number = COPIES.fetch_add(1, Ordering::Relaxed);
    let name = format!("engine tests {} {number}", std::process::id());
    let pipe = Place { name: name.into(), private: None };
    let read = || {
        let stop = Stop::new();
        let half = Half::new(request, pipe.clone(), None, &stop).expect("no users are named");
        let pipe = half.meeting.pipe(&stop, &half.peer_ended);
        let pipe = half.meeting.trusted(&pipe).expect("the directory is private");
        let Ok(Seat::Reader(mut producer)) = half.meeting.join(&pipe, Some(Role::Reader)) else {
            panic!("the Reader's end is free")
        };
        let mut observer = |_| {};
        thread::scope(|scope| {
            let mut feed = Feed::new(scope, &mut observer);
            let mut outlook = Outlook::default();
            let sent = reader::send(&mut producer, &mut source, &mut None, &mut outlook, &half, &mut feed);
            let result = sent.or_else(|halt| reader::explain(halt, &producer, outlook, &half, &feed));
            feed.pause();
            result
        })
    };
    let mut write = || {
        let stop = Stop::new();
        let half = Half::new(request, pipe.clone(), None, &stop).expect("no users are named");
        // This half copies the bytes out before it uses them.
        let pipe = half.meeting.pipe(&stop, &half.peer_ended);
        let Ok(Seat::Writer(mut consumer)) = half.meeting.join(&pipe, Some(Role::Writer)) else {
            panic!("the Writer's end is free")
        };
        let (mut observer, mut outlook) = (|_| {}, Outlook::default());
        thread::scope(|scope| {
            let mut feed = Feed::new(scope, &mut observer);
            let written = writer::fill(&mut consumer, &mut destination, &mut outlook, &half, &mut feed);
            let result = written.map_err(|halt| writer::explain(halt, &consumer, outlook, &half));
            feed.pause();
            result
        })
    };
    let (reader, writer) = thread::scope(|scope| {
        let reader = scope.spawn(read);
        let writer = write();
        (reader.join().expect("the Reader does not panic"), writer)
    });
    Copied { reader, writer, destination }
}

fn request() -> Request {
    Request::pair("/fake/source", "/fake/destination")
}

#[test]
fn both_halves_report_the_same_and_the_steps_come_in_order() {
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let request = Request { verify: Verify::Reread, block_size: Some(4096), ..request() };
    let copied = copy(&request, FakeSource::new(&bytes), FakeDestination::default());
    assert_eq!(copied.reader, copied.writer);
    assert!(matches!(copied.reader, Ok(Outcome::Complete { bytes: 10_000, checksum: Some(_), .. })));
    assert_eq!(copied.destination.content, bytes);
    let calls = copied.destination.calls.into_inner();
    assert_eq!(calls[0], "stage");
    assert_eq!(calls[calls.len() - 5..], ["prepare", "reread", "commit", "sync_name", "tidy"]);
}

#[test]
fn a_failure_at_any_step_is_reported_by_both_and_discards_what_is_there() {
    for step in ["stage", "check_limit", "write", "reached", "prepare", "reread", "commit", "sync_name"] {
        let request = Request { verify: Verify::Reread, ..request() };
        let destination = FakeDestination { fails_at: Some(step), ..FakeDestination::default() };
        let copied = copy(&request, FakeSource::new(b"some bytes"), destination);
        assert_eq!(copied.kinds(), [Some(ErrorKind::Destination), Some(ErrorKind::Destination)], "{step}");
        let calls = copied.destination.calls.into_inner();
        assert_eq!(calls.last(), Some(&"discard"), "{step}: {calls:?}");
        assert!(!calls.contains(&"tidy"), "{step}: {calls:?}");
    }
}

#[test]
fn a_source_that_changes_ends_both_before_the_commit() {
    let changed = ErrorKind::SourceChanged(SourceChange::Modified);
    let source = FakeSource { end: Err(changed.clone().into()), ..FakeSource::new(b"some bytes") };
    let copied = copy(&request(), source, FakeDestination::default());
    assert_eq!(copied.kinds(), [Some(changed.clone()), Some(changed)]);
    assert!(!copied.destination.calls.borrow().contains(&"commit"));
}

#[test]
fn a_copy_that_reads_back_differently_is_not_committed() {
    let request = Request { verify: Verify::Reread, ..request() };
    let destination = FakeDestination { reread: Some([1; 32]), ..FakeDestination::default() };
    let copied = copy(&request, FakeSource::new(b"some bytes"), destination);
    let mismatch = Some(ErrorKind::Mismatch { reread: true, resumed: 0 });
    assert_eq!(copied.kinds(), [mismatch.clone(), mismatch]);
    assert_eq!(copied.writer.unwrap_err().aftermath, Aftermath::Unchanged);
    assert!(!copied.destination.calls.borrow().contains(&"commit"));
}

#[test]
fn a_copy_resumes_where_the_destination_ends() {
    let mut digest = Digest::new(Kind::Crc64);
    digest.update(b"some ");
    let begins = ResumePoint { position: 5, sum: digest.resume_state() };
    let there = FakeDestination { begins, content: b"some ".to_vec(), ..FakeDestination::default() };
    let copied = copy(&request(), FakeSource::new(b"some bytes"), there);
    assert_eq!(copied.kinds(), [None, None]);
    assert_eq!(copied.destination.content, b"some bytes");
}
