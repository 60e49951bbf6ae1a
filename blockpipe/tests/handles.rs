//! A pipe closes every handle that it opens, and lets no child inherit one.

use crate::util::{Actor, Name, Watchdog, handles};
use blockpipe::{End, Geometry, JoinError, Pipe};
use std::time::Duration;

/// Opens and closes many pipes before it listens, if this process was started for that.
pub fn many_pipes() {
    let Ok(count) = std::env::var("BLOCKPIPE_TEST_PIPES") else { return };
    let count: usize = count.parse().unwrap();
    let (name, mut before) = (Name::new(), (0, 0));
    let pipe = Pipe::named(name.bytes());
    for round in 0..20 + count {
        // What a process opens only once, it has opened by then.
        if round == 20 {
            before = handles();
        }
        // A consumer that comes first and gives up sleeps for a moment before it does.
        if round % 20 == 0 {
            let waited = pipe.clone().connect_timeout(Duration::ZERO).join_as_consumer();
            assert!(matches!(waited, Err(JoinError::NoPeer)));
        }
        let Ok(End::Producer(mut producer)) = pipe.join() else { panic!("the first is the producer") };
        producer.ready(Geometry::new(4096, 2), b"").unwrap();
        let Ok(End::Consumer(mut consumer)) = pipe.join() else { panic!("the second is the consumer") };
        assert!(matches!(pipe.join(), Err(JoinError::TooManyInstances(_))));
        let block = producer.empty_block().unwrap();
        producer.send(block, 5).unwrap();
        let block = consumer.filled_block().unwrap().unwrap();
        consumer.release(block).unwrap();
    }
    assert_eq!(handles(), before, "open now, and before {count} pipes; and those for children");
}

#[test]
fn two_hundred_pipes_leave_no_handle_open() {
    let _watchdog = Watchdog::new(60);
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.env("BLOCKPIPE_TEST_PIPES", "200");
    let mut actor = Actor::start_through(command);
    note!("{} (open, for children) after 200 pipes", actor.ask("handles"));
}

#[test]
fn no_handle_is_inherited_by_children() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut actor = Actor::start();
    let numbers = |answer: String| -> (usize, usize) {
        let (open, inherited) = answer.trim_matches(['(', ')']).split_once(", ").unwrap();
        (open.parse().unwrap(), inherited.parse().unwrap())
    };
    let before = numbers(actor.ask("handles"));
    actor.joins(&name, "producer");
    actor.expect("ready 4096 2", "Ok(())");
    let after = numbers(actor.ask("handles"));
    assert!(after.0 > before.0, "{before:?} {after:?}");
    assert_eq!(after.1, before.1, "a child would inherit what the pipe has opened");
}
