//! What is special about pipes that are named objects: who else may use their names, handles, seats and threads.

use crate::util::{Actor, Name, Watchdog, finish, is_refused, mutex, pair, user};
use blockpipe::{End, Geometry, Pipe, PipeError};
use std::io;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::ptr::null;
use windows_sys::Win32::System::Threading::{CreateEventW, EVENT_ALL_ACCESS, OpenEventW};

#[test(not_on_windows = "hostile.rs writes into the file of a pipe")]
fn hostile() {}

fn event(name: &[u16]) -> OwnedHandle {
    // SAFETY: the name ends with a zero.
    let handle = unsafe { CreateEventW(null(), 0, 0, name.as_ptr()) };
    assert!(!handle.is_null(), "{}", io::Error::last_os_error());
    // SAFETY: just opened.
    unsafe { OwnedHandle::from_raw_handle(handle) }
}

#[test]
fn a_name_in_use_by_another_object_is_a_clear_error() {
    let _watchdog = Watchdog::new(60);
    let mut actor = Actor::start();
    let mut is_foreign = |name: &Name, object: &str, what: &str| {
        let answer = is_refused(&mut actor, &format!("join {}", name.hex()), "Foreign {");
        let path = format!("{}-{object}", name.location()).escape_debug().to_string();
        assert!(answer.contains(what) && answer.contains(&path), "{answer}");
    };
    for object in ["gate", "producer-seat", "consumer-alive", "root"] {
        let name = Name::new();
        let squatter = event(&name.object(object));
        is_foreign(&name, object, "an object of another kind has this name");
        drop(squatter);
        if object != "root" {
            let whose = |rights: &str| mutex(&name.object(object), rights);
            let squatter = whose(&format!("O:{0}D:(A;;GA;;;WD)", user()));
            is_foreign(&name, object, "other users may open it");
            drop(squatter);
            let squatter = whose("O:BAD:(A;;GA;;;WD)");
            is_foreign(&name, object, "belongs to another user");
            drop(squatter);
        }
        actor_joins(&mut Actor::start(), &name);
    }
}

#[track_caller]
fn actor_joins(actor: &mut Actor, name: &Name) {
    actor.joins(name, "producer");
    actor.expect("leave", "left");
}

/// Blocks never come from another process: a section of this name must not exist before.
#[test]
fn memory_that_exists_already_is_not_used() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut producer = Actor::start();
    producer.joins(&name, "producer");
    let header = name.header();
    let generation = u64::from(header.word(16)) | u64::from(header.word(20)) << 32;
    let squatter = event(&name.object(&format!("blocks-{generation:016x}")));
    let answer = producer.ask("ready 4096 2");
    assert!(answer.starts_with("Err(CallFailed {") && answer.contains("another kind"), "{answer}");
    drop(squatter);
    producer.expect("ready 4096 2", "Ok(())");
    let mut consumer = Actor::start();
    consumer.joins(&name, "consumer");
    drop(header);
    finish(&name, &mut producer, &mut consumer, 9000);
}

#[test]
fn too_much_memory_is_an_error_and_less_can_be_requested() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let Ok(End::Producer(mut producer)) = Pipe::named(name.bytes()).join() else { panic!("the first") };
    // 64 TiB.
    let most = Geometry::new(Geometry::MAX_BLOCK_SIZE, Geometry::MAX_BLOCKS);
    match producer.ready(most, b"") {
        Err(PipeError::CallFailed { source, .. }) => {
            note!("{source}");
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        }
        other => panic!("{other:?}"),
    }
    producer.ready(Geometry::new(4096, 2), b"").unwrap();
}

/// When a process dies, its threads end one by one. As long as one of them may run, the seat is held.
#[test]
fn a_seat_is_held_as_long_as_any_thread_of_its_process_may_run() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 4096, 2);
    producer.tell("stream 100000 1");
    // A second handle stands for the threads that are left: the process is gone, and this handle is not closed yet.
    // SAFETY: the name ends with a zero.
    let here = unsafe { OpenEventW(EVENT_ALL_ACCESS, 0, name.object("consumer-here").as_ptr()) };
    assert!(!here.is_null(), "{}", io::Error::last_os_error());
    // SAFETY: just opened.
    let here = unsafe { OwnedHandle::from_raw_handle(here) };
    consumer.expect("take", "taken 0 4096");
    consumer.kill();
    producer.expect_silence(300);
    drop(here);
    producer.expect_answer("Err(PeerDied)");
    name.assert_gone();
}
